from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.generators.registry import generate


class BooleanModel(NamedTuple):
    """Images of the space outside overlapping discs whose centres are a Poisson process, periodic."""

    outside: Tensor
    """float64 (n, X, Y): 1 where no disc is."""
    radius: float
    density: float
    """Discs per pixel."""


@pytest.fixture(scope="session")
def boolean_model() -> BooleanModel:
    images, size, radius = 96, 256, 12.0
    density = 0.5 / (np.pi * radius**2)
    stream = np.random.default_rng(0)
    inside = np.zeros((images, size, size), dtype=bool)
    axis = np.arange(size)
    for image in inside:
        for centre in stream.random((stream.poisson(density * size**2), 2)) * size:
            dx, dy = (np.minimum(abs(axis - at), size - abs(axis - at)) for at in centre)
            image |= dx[:, None] ** 2 + dy[None, :] ** 2 < radius**2
    return BooleanModel(torch.from_numpy(~inside).double(), radius, float(density))


@pytest.fixture(scope="session")
def images() -> Tensor:
    """Nine two-phase images of three families, float32 (9, 1, 32, 32)."""
    return Microstructures.concatenate(
        [generate(family, 3, (32, 32)) for family in ("GRF", "AngEllipse", "VoronoiMedium")]
    ).indicator()
