"""What every other room stands on: errors, config, files, progress. Imports nothing of ours."""
