"""Effective properties: materials, the batched FFT solver, bounds, evaluators. Imports microstructure only."""
