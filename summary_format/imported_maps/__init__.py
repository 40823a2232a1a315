"""Maps that another library or a person made: the file that they come in, and what a run keeps of them."""
