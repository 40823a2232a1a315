"""What a layer holds: concepts that recur in it, and images that its channels respond to."""
