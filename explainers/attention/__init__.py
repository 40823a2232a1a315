"""Maps of transformers, made of the attention that is found in them."""
