"""Pretraining: an encoder and a decoder of images from many materials, without properties."""
