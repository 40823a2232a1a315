"""A run as it goes: checked, batch by batch, committed, stopped and resumed."""
