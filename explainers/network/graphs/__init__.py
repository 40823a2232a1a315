"""Passes that run as compiled graphs: how they are made, when that pays, and whether their numbers agree."""
