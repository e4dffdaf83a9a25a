"""Entry points for `ray job submit`, one per job; each parses a config and calls one function."""
