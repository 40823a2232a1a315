"""Class activation maps: a layer's output, weighted by what it does for a class."""
