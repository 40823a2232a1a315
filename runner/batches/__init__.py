"""A batch of samples, from pictures to commits: what of it is known, what is computed, and what that costs."""
