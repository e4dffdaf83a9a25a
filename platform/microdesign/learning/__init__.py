"""Training, sweeping and evaluating models on Ray Train and Ray Tune. Imports model, microstructure, tracking."""
