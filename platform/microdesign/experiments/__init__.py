"""Experiments on trained models: what `microdesign evaluate` measures and writes. Imports every other part."""
