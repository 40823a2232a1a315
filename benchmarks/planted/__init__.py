"""Networks whose important pixels are known by construction, and how metrics rank maps of them."""
