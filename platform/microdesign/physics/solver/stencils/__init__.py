"""The operators of the discrete equations, as fused loops and in torch."""
