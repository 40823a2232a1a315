"""Maps of what the network says where parts of the image are hidden."""
