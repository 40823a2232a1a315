"""Shards of one run, merged."""
