"""What trained models are worth on held-out images."""
