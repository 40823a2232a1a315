"""The end of a run, and the repair of one that is resumed."""
