"""What is to run: options, samples, shards, and what tells one plan from another."""
