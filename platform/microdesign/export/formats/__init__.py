"""The formats that microstructures are exported to, a small file for each kind."""
