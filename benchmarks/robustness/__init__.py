"""Does a map stay the same where the image hardly changes?"""
