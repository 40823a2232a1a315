"""Maps that metrics have made again: of noisy images, under other weights, of mosaics."""
