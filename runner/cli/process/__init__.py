"""How the process of a command ends, and what it writes: exit codes, errors in words, standard streams."""
