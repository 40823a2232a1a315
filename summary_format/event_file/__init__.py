"""The records that the viewer reads: their frames, and what they hold."""
