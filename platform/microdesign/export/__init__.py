"""Microstructures for other programs: decks, meshes, surfaces, grids, outlines and effective-material cards."""
