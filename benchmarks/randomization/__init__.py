"""Does a map depend on what is explained?"""
