"""Explained pictures side by side in a figure."""
