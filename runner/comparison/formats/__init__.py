"""A comparison in text, Markdown, JSON and JUnit XML."""
