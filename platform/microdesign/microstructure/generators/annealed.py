"""Patterns annealed by the influence of each pixel's neighbourhood."""

import math

import numpy as np

from microdesign.microstructure.generators.draws import MIN_FEATURE, highest, log_uniform, rotation
from microdesign.microstructure.generators.fields import filtered, gaussian_transfer, white_noise
from microdesign.microstructure.generators.sample import Drawn, Sample

SWEEPS = 10


def neighbourhood_annealing(sample: Sample) -> Drawn:
    """Pattern annealed from noise by a neighbourhood that attracts its own phase nearby and repels it further away.

    MICRO2D's class NBSA is made by its authors' own neighbourhood-based procedure, whose definition we could not read;
    this is a stand-in for it, not a copy. It is an Ising-like model with the volume fraction conserved, annealed by
    parallel sweeps: each takes as phase 1 the pixels of highest h / std(h) + T * noise, where h is the phase convolved
    with G(l) - `repulsion` * G(`ratio` * l), G(l) an anisotropic Gaussian kernel of standard deviations l (pixels) at
    a random orientation, and the temperature T falls linearly to zero. Without repulsion domains coarsen; with it they
    settle into spots and labyrinths of a width set by the kernel. Interfaces are smoother than those of a GRF.
    """
    stream, size, dims = sample.stream, sample.size, sample.dims
    fraction = float(stream.uniform(0.08, 0.92))
    short = log_uniform(stream, MIN_FEATURE / 2, 0.04 * size)
    lengths = [short * log_uniform(stream, 1.0, 4.0) for _ in range(dims - 1)] + [short]
    ratio = float(stream.uniform(1.5, 3.0))
    repulsion = float(stream.uniform(0.0, 1.0))
    heat = float(stream.uniform(0.3, 1.5))
    axes, described = rotation(stream, dims)
    near = gaussian_transfer(sample.shape, lengths, axes)
    # A Gaussian of `ratio` times the length is the near one to the power ratio^2.
    transfer = near - np.float32(repulsion) * near ** np.float32(ratio**2)
    # The mean of a phase is conserved, so its transform's first entry carries no information.
    transfer.flat[0] = 0.0
    field = white_noise(sample)
    for sweep in range(SWEEPS):
        phase = highest(field, fraction)
        field = filtered(phase.astype(np.float32), transfer)
        temperature = heat * (1 - (sweep + 1) / SWEEPS)
        if temperature > 0:
            scale = math.sqrt(float(np.vdot(field, field)) / field.size)
            field += np.float32(temperature * scale) * white_noise(sample)
    return highest(field, fraction), {
        "fraction": fraction,
        "lengths": lengths,
        "ratio": ratio,
        "repulsion": repulsion,
        "heat": heat,
        "angle" if dims == 2 else "quaternion": described,
    }
