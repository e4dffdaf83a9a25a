"""Statistics of microstructures: two-point, morphology, connectivity."""
