"""The explainrun command, a module for each of its commands."""
