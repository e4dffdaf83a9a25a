"""Scans of electron backscatter diffraction (EBSD): a parser for each instrument's files, one reader.

The parsers are our own: what reads these files in Python (orix, kikuchipy) needs some thirty packages, for a table of
ten columns.
"""
