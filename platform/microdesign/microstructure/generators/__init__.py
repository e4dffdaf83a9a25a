"""Generators of periodic images: one small function per family, seeded per sample; `registry` lists and runs them.

Sample i of a seed is the same whatever the batch or the worker: its random stream is seeded by (seed, family, i) alone.
Ten families are modelled on the classes of MICRO2D (Robertson et al. 2024, doi 10.1007/s40192-023-00340-4), whose own
generation procedure they do not repeat; the ranges of the parameters are choices made here for a wide spread of volume
fraction, feature size and anisotropy. Lengths are in pixels, angles in radians from x towards y.
"""
