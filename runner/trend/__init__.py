"""Scores of several runs in a row: how they changed from each to the next, as a table, as a drawing and as JSON.

Nothing here loads MindSpore or matplotlib.
"""
