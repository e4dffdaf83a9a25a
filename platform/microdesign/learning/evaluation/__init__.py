"""Evaluation of trained models on held-out images, and their comparison."""
