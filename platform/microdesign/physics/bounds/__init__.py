"""Bounds on effective properties, and whether a target is within them."""
