"""The experiment `inverse`."""
