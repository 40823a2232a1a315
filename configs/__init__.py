"""Ready-to-run configs, and the bundled example that they run on."""
