"""What every other room stands on: errors, config, files, progress, references, metrics, the catalogue of properties."""
