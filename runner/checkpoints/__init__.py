"""Checkpoints of networks: files that anybody may have made, read without running anything, and loaded."""
