"""Generated from records.proto by scripts/generate_records.py; only events.py imports it."""
