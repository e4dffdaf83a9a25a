"""What every other room stands on: errors, config, files, progress, references, metrics, catalogue of properties."""
