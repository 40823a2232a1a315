"""What is looked at before NumPy, JSON and HDF5 open a file that may be anything."""
