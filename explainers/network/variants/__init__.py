"""Networks that are changed for a while, and afterwards are as they were: random weights, shifted inputs, rescaling."""
