"""Derivatives that one pass back does not give."""
