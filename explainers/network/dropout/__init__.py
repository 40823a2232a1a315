"""Monte Carlo dropout: where it acts, its masks, and the passes under them."""
