"""What a summary folder holds, without changing it."""
