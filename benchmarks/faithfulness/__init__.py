"""Does the prediction depend on the pixels that a map marks?"""
