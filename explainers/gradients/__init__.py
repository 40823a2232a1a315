"""Maps of the gradient with respect to the image."""
