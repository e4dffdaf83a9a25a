"""Layouts of HDF5 files."""
