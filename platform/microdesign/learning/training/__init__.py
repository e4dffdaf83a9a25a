"""Training: the loop, physics feedback, Ray Train."""
