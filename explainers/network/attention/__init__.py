"""Attention in a network, found by what it computes: its probabilities, their gradients, and each block's scores.

``trace.py`` records what operators a pass runs, ``blocks.py`` finds attention in such a record, ``taps.py`` reads it in
later passes, and ``scores.py`` asks what the rest of the network makes of a block's own tokens.
"""
