"""Attention in a network, found by what it computes: its probabilities, their gradients, and each block's scores.

``recording.py`` records what operators a pass runs, ``finding.py`` finds attention in such a record, ``over_tokens.py``
sees whether it compares tokens, and ``search.py`` does all of that once. ``taps.py`` reads it in later passes, and
``scores.py`` asks what the rest of the network makes of a block's own tokens.
"""
