"""What a run will take, before it runs: passes, time and disk."""
