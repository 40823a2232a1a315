"""Runs that grow: what earlier archives hold for a new run, and what it hides of them."""
