"""The commands that come before the first run of one's own: see it work, write a config, check it."""
