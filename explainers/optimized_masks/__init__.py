"""Masks that are optimised: the parts of an image that a label's logit depends on."""
