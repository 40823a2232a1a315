"""What a run computed, in arrays: a segment for each commit, and results.h5 that is made of them."""
