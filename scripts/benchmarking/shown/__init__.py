"""Results as tables, as a page and as a plot."""
