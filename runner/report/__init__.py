"""A run, or two, as a page of static files. Loads no MindSpore."""
