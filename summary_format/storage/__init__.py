"""The folder of a run: who may write to it, and writes that are there whole or not at all."""
