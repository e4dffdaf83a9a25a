"""Microstructures in memory and data sets on disk."""
