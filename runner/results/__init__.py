"""What a run ends with: its scores, their noise and ranking, tables."""
