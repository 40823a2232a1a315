"""What every explainer is made with: its contract, the questions it gets, its arguments."""
