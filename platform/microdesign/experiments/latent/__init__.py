"""The experiment `latent`."""
