"""Does a map mark the place where the object is?"""
