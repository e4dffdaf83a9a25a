"""The VAE-regression model: networks, priors, losses, objective, bundle. Imports microstructure only."""
