"""What a comparison is held to: tolerances, floors, and the file that says both."""
