"""What is to run: options, samples, shards, and how one plan differs from another."""
