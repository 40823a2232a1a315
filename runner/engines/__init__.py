"""Engines that hand the shards of a run out to workers on one host or many."""
