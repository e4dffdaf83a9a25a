"""microdesign: from target properties to physics-verified microstructures."""

__version__ = "0.1.0"
