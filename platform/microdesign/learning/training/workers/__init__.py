"""Training on Ray workers: checkpoints, errors, interrupts and what is reported from them."""
