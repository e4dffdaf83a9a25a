"""Latent priors p(z|c) and Gaussian mixtures."""
