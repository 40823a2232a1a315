"""The samples of a dataset, and datasets made of files."""
