"""What ``explainrun inspect`` prints."""
