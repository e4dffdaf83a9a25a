"""Samples and batches for training."""
