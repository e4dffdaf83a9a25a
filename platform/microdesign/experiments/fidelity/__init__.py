"""The experiment `fidelity`."""
