"""What every metric is made with: its contract, and the maps and probabilities it gets."""
