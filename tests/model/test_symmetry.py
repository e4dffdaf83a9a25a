"""Turns and flips: the properties of a turned image are what physics says of it."""

import numpy as np
import pytest

from microdesign.core.properties import known, standard_names
from microdesign.model.symmetry import symmetries
from microdesign.physics.density import with_density
from microdesign.physics.materials import Materials
from microdesign.physics.properties import properties_of, property_values, tensor_entries
from microdesign.physics.solver.homogenization import homogenize

MATERIALS = Materials.model_validate(
    {
        "phases": [
            {"E": 1.0, "nu": 0.3, "k": 1.0, "density": 1.0},
            {"E": 9.0, "nu": 0.2, "k": 5.0, "density": 4.0},
            {"E": 3.0, "nu": 0.4, "k": 20.0, "density": 2.0},
        ]
    }
)


def properties(labels: np.ndarray, names: tuple[str, ...]) -> dict[str, float]:
    result = homogenize(labels[None], MATERIALS, dims=labels.ndim, tolerance=1e-7)
    values = properties_of(result.stiffness, result.conductivity, MATERIALS)
    values = with_density(values | tensor_entries(result.stiffness, result.conductivity), labels[None], MATERIALS)
    return {name: float(property_values(values, name, labels.ndim)[0]) for name in names}


def test_properties_turn_as_physics_says() -> None:
    for dims, names, count in ((2, (*known(2), "kx/ky", "C13/k12"), 8), (3, standard_names(3), 48)):
        labels = np.random.default_rng(1).integers(0, 3, (4,) * dims).astype(np.uint8)
        found = symmetries(labels.shape, names, (*names, "ky/kx", "C23/k12"))
        assert len(found) == count
        before = properties(labels, (*names, "ky/kx", "C23/k12") if dims == 2 else names)
        for axes, flipped, sources, signs in found[:: 1 if dims == 2 else 7]:
            after = properties(np.flip(labels.transpose(axes), flipped).copy(), names)
            for name, source, sign in zip(names, sources, signs, strict=True):
                expected = pytest.approx(sign * before[source], rel=1e-4, abs=1e-4)
                assert after[name] == expected, (axes, flipped, name)


def test_the_first_changes_nothing() -> None:
    first = symmetries((4, 4), ("Ex", "something"), ("Ex", "something"))[0]
    assert (first.axes, first.flipped, first.sources, first.signs) == ((0, 1), (), ("Ex", "something"), (1, 1))


def test_what_needs_an_unknown_property_is_left_out() -> None:
    for shape, names, known_names, count in (
        ((4, 4), ("Ex",), ("Ex", "Ey"), 8),
        ((4, 4), ("Ex",), ("Ex",), 4),  # no turn
        ((4, 6), ("Ex",), ("Ex", "Ey"), 4),  # axes of unlike length
        ((4, 4), ("Gxy",), ("Gxy",), 8),
        ((4, 4), (), (), 8),
        ((4, 4), ("strength",), ("strength",), 1),  # nobody knows what becomes of it
        ((4, 4), ("Ex.1",), ("Ex.1", "Ey.1"), 8),
        ((4, 4), ("Ex.1",), ("Ex.1", "Ey.0"), 4),
        ((4, 4), ("C11",), ("C11", "C22"), 8),
        ((4, 4), ("C33",), ("C33",), 8),  # of an image the shear modulus
        ((4, 4), ("C44",), ("C44",), 1),  # and these belong to volumes
        ((4, 4), ("Ez", "k33"), ("Ez", "k33"), 1),
        ((4, 4, 4), ("C11",), ("C11", "C22"), 32),
        ((4, 4, 4), ("C11", "K"), ("C11", "K"), 16),
        ((4, 4, 6), ("k33",), ("k33",), 16),
    ):
        found = symmetries(shape, names, known_names)
        assert len(found) == len(set(found)) == count, (shape, names)


def test_pairs_of_materials_stay_apart() -> None:
    names = ("Ex.1", "vxy.0")
    sources = {symmetry.sources for symmetry in symmetries((4, 4), names, ("Ex.1", "Ey.1", "vxy.0", "vyx.0"))}
    assert sources == {("Ex.1", "vxy.0"), ("Ey.1", "vyx.0")}


def test_axes_of_other_spacings_are_not_exchanged() -> None:
    """Of voxels of 1 x 1 x 2 a turn about z alone maps the material onto itself, as physics of such voxels says."""
    names, aspect = standard_names(3), (1.0, 1.0, 2.0)
    labels = np.random.default_rng(1).integers(0, 3, (4, 4, 4)).astype(np.uint8)
    found = symmetries(labels.shape, names, names, aspect)
    assert len(found) == 16
    assert len(symmetries((4, 4), names[:2], names, (1.0, 2.0))) == 4

    def of(image: np.ndarray) -> dict[str, float]:
        result = homogenize(image[None], MATERIALS, dims=3, spacing=aspect, tolerance=1e-7)
        values = properties_of(result.stiffness, result.conductivity, MATERIALS)
        return {name: float(property_values(values, name, 3)[0]) for name in names}

    before = of(labels)
    for axes, flipped, sources, signs in found[::5]:
        after = of(np.flip(labels.transpose(axes), flipped).copy())
        for name, source, sign in zip(names, sources, signs, strict=True):
            assert after[name] == pytest.approx(sign * before[source], rel=1e-4, abs=1e-4), (axes, flipped, name)
