"""The two sides that are measured: ours, and other libraries'."""
