"""The FFT-preconditioned solver: equations, discretizations, Green operators, conjugate gradients."""
