"""Run configs: what they may hold, and the runner that is built from one."""
