"""The experiment `forward`."""
