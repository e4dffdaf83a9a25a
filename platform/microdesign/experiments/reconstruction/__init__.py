"""The experiment `reconstruction`."""
