"""The VAE-regression model: networks, priors, losses, objective, and the bundle on disk. Imports microstructure only."""
