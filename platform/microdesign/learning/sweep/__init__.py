"""Sweeps of training settings on Ray Tune."""
