"""Hierarchical Occlusion Counterfactual: the few regions that a label needs."""
