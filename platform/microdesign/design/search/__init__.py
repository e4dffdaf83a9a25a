"""How a campaign searches: sampling, screening, refinement."""
