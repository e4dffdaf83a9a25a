"""Mirrored images: equal to the periodic solve of the image that mirrors make, at its own size; closed forms."""

import itertools
from typing import Any

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.physics.materials import Materials
from microdesign.physics.solver.equations import Conduction, Elasticity
from microdesign.physics.solver.fields import local_fields
from microdesign.physics.solver.homogenization import Homogenization, homogenize
from microdesign.physics.solver.homogenization_torch import homogenize_batch
from microdesign.physics.solver.mirror_green import MirrorGreenOperator
from microdesign.physics.solver.uncertainty import conductivity_bracket

TIGHT: dict[str, Any] = {"tolerance": 1e-10, "precision": "float64"}
TWO = Materials.model_validate({"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 20, "nu": 0.2, "k": 30}]})
PORES = Materials.model_validate({"phases": [{"E": 2, "nu": 0.3, "k": 3}, {"E": 0, "nu": 0.0, "k": 0}]})
TRICLINIC = np.array(
    [
        [9.0, 3.0, 2.5, 0.4, -0.3, 0.6],
        [3.0, 8.0, 2.0, -0.5, 0.2, 0.3],
        [2.5, 2.0, 7.0, 0.3, 0.5, -0.4],
        [0.4, -0.5, 0.3, 2.0, 0.2, 0.1],
        [-0.3, 0.2, 0.5, 0.2, 2.5, -0.3],
        [0.6, 0.3, -0.4, 0.1, -0.3, 3.0],
    ]
)
CONDUCTING = np.array([[3.0, 0.8, -0.4], [0.8, 2.0, 0.3], [-0.4, 0.3, 4.0]])
SHAPES = {2: (9, 6), 3: (6, 5, 4)}


def random_image(dims: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random(SHAPES[dims]) < 0.4).astype(np.uint8)


def mirrored(image: np.ndarray) -> np.ndarray:
    return np.pad(image, [(0, size) for size in image.shape], mode="symmetric")


def same(found: Homogenization, expected: Homogenization, rtol: float = 1e-6) -> None:
    for name in ("stiffness", "conductivity"):
        mine, other = getattr(found, name), getattr(expected, name)
        np.testing.assert_allclose(mine, other, rtol=rtol, atol=rtol * np.abs(np.nan_to_num(other)).max())


def test_it_is_the_periodic_solve_of_the_mirrored_image(subtests: pytest.Subtests) -> None:
    schemes = ("q1", "rotated", "fv", "q1bbar")
    for dims, scheme, spacing, plane in itertools.product(
        (2, 3), schemes, (None, (1.0, 2.0, 0.5)), ("stress", "strain")
    ):
        if plane != ("strain" if scheme == "q1bbar" and dims == 2 else "stress") and (dims == 3 or scheme != "q1"):
            continue
        with subtests.test(dims=dims, scheme=scheme, spacing=spacing, plane=plane):
            image, phases = random_image(dims), TWO.model_copy(update={"plane": plane})
            lengths = None if spacing is None else spacing[:dims]
            settings = {"dims": dims, "discretization": scheme, "spacing": lengths, **TIGHT}
            here = homogenize(image, phases, boundary="mirror", **settings)
            same(here, homogenize(mirrored(image), phases, **settings))
            assert not here.conductivity[0][~np.eye(dims, dtype=bool)].any()
            assert not here.stiffness[0, :dims, dims:].any()


def test_pores_too(subtests: pytest.Subtests) -> None:
    for dims, scheme in itertools.product((2, 3), ("q1", "rotated", "fv")):
        with subtests.test(dims=dims, scheme=scheme):
            image = (np.random.default_rng(1).random((10,) * dims) < 0.2).astype(np.uint8)
            settings = {"dims": dims, "discretization": scheme, **TIGHT}
            here = homogenize(image, PORES, boundary="mirror", **settings)
            same(here, homogenize(mirrored(image), PORES, **settings))
            assert here.conductivity[0, 0, 0] > 0


def test_crystals_are_mirrored_with_the_image(subtests: pytest.Subtests) -> None:
    """Reflected, a tensor's entries change their sign with each index across the mirror: other phases of the copy."""
    pairs = {2: [(0, 0), (1, 1), (0, 1)], 3: [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]}
    for dims, scheme in itertools.product((2, 3), ("q1", "rotated")):
        with subtests.test(dims=dims, scheme=scheme):
            image = random_image(dims)
            K = 3 * dims - 3
            stiffness = TRICLINIC if dims == 3 else TRICLINIC[np.ix_([0, 1, 5], [0, 1, 5])]
            k = CONDUCTING[:dims, :dims]
            phases, labels = [], np.zeros([2 * size for size in image.shape], np.uint8)
            for number, flips in enumerate(itertools.product((1, -1), repeat=dims)):
                voigt = np.array([flips[a] * flips[b] for a, b in pairs[dims]])
                turned = stiffness * np.outer(voigt, voigt), k * np.outer(flips, flips)
                phases += [{"stiffness": turned[0].tolist(), "conductivity": turned[1].tolist()}]
                phases += [{"stiffness": (np.eye(K) * 30).tolist(), "conductivity": (9 * np.eye(dims)).tolist()}]
                part = tuple(slice(0, n) if f > 0 else slice(n, None) for f, n in zip(flips, image.shape, strict=True))
                labels[part] = mirrored(image)[part] + 2 * number
            settings = {"dims": dims, "discretization": scheme, **TIGHT}
            here = homogenize(image, Materials.model_validate({"phases": phases[:2]}), boundary="mirror", **settings)
            same(here, homogenize(labels, Materials.model_validate({"phases": phases}), **settings))


def test_many_phases_leave_room_for_the_void_beyond_the_mirrors() -> None:
    k = np.linspace(1, 5, 256)
    phases = Materials.model_validate({"phases": [{"conductivity": (value * np.eye(2)).tolist()} for value in k]})
    image = np.random.default_rng(0).permutation(256).reshape(16, 16)
    same(homogenize(image, phases, boundary="mirror", **TIGHT), homogenize(mirrored(image), phases, **TIGHT))


def test_the_batch_in_torch_is_the_same(subtests: pytest.Subtests) -> None:
    for dims, scheme in itertools.product((2, 3), ("q1", "rotated")):
        with subtests.test(dims=dims, scheme=scheme):
            images = np.stack([random_image(dims, seed) for seed in range(3)])
            settings = {"dims": dims, "discretization": scheme, "boundary": "mirror", **TIGHT}
            same(homogenize_batch(images, TWO, **settings), homogenize(images, TWO, **settings), 1e-8)


def test_the_preconditioner_inverts_the_homogeneous_medium(subtests: pytest.Subtests) -> None:
    one = Materials.model_validate({"phases": [{"E": 3, "nu": 0.3, "k": 2}]})
    for physics, shape, dtype in itertools.product(
        (Elasticity, Conduction), [(8, 6), (7, 9), (2, 3), (5, 4, 6)], ("float32", "float64")
    ):
        equations = physics(one, shape, np.ones(len(shape)), "q1", dtype, "mirror")
        for case in equations.cases:
            with subtests.test(physics=physics, shape=shape, dtype=dtype, loads=case.loads):
                assert case.odd is not None
                n = case.loads.stop - case.loads.start
                nodes = (n, equations.components, *(size + 1 for size in shape))
                u = np.random.default_rng(0).standard_normal(nodes).astype(dtype)
                for component, odd in enumerate(case.odd):
                    for axis in np.flatnonzero(odd):
                        np.moveaxis(u[:, component], axis + 1, 0)[[0, -1]] = 0
                forces, z = np.empty_like(u), np.empty_like(u)
                none = np.zeros((n, len(equations.loads)), dtype)
                equations.divergence(np.zeros(shape, np.uint8))(u, none, forces)
                MirrorGreenOperator(equations.green, case.odd, centred=False)(forces, z)
                np.testing.assert_allclose(z, u, atol=2e-5 if dtype == "float32" else 1e-12)


def test_laminates(subtests: pytest.Subtests) -> None:
    """Layers across an axis: series and parallel, whichever boundary, on grids that repeat them or not."""
    for dims, axis, scheme in itertools.product((2, 3), (0, 1), ("q1", "rotated", "fv")):
        with subtests.test(dims=dims, axis=axis, scheme=scheme):
            layers = np.array([0, 0, 1, 0, 1, 1, 0])
            image = np.zeros((7,) * dims, int) + np.expand_dims(layers, [a for a in range(dims) if a != axis])
            f = layers.mean()
            found = homogenize(image, TWO, dims=dims, discretization=scheme, boundary="mirror", **TIGHT)
            expected = np.full(dims, 1 - f + 30 * f)
            expected[axis] = 1 / (1 - f + f / 30)
            np.testing.assert_allclose(found.conductivity[0], np.diag(expected), rtol=1e-9, atol=1e-9)
            if scheme != "fv":
                lam, mu = TWO.lame_moduli_of(dims).T
                normal = 1 / np.average(1 / (lam + 2 * mu), weights=[1 - f, f])
                np.testing.assert_allclose(found.stiffness[0, axis, axis], normal, rtol=1e-9)
                shear = 1 / np.average(1 / mu, weights=[1 - f, f])
                np.testing.assert_allclose(found.stiffness[0, -1, -1], shear, rtol=1e-9)  # xy


def test_an_ends_resistance_is_that_of_half_a_cell() -> None:
    """Finite volumes: a bar is a row of resistances; the isothermal ends lie half a cell beyond the centres."""
    k = np.array([1.0, 30.0])[(bar := np.array([[0, 0], [1, 1], [1, 1], [0, 0], [0, 0]]))][:, 0]
    found = homogenize(bar, TWO, discretization="fv", boundary="mirror", **TIGHT)
    assert found.conductivity[0, 0, 0] == pytest.approx(len(k) / (1 / k).sum())


def test_a_shift_matters_and_a_flip_does_not() -> None:
    image = random_image(2)
    one = homogenize(image, TWO, boundary="mirror", **TIGHT)
    same(homogenize(image[::-1], TWO, boundary="mirror", **TIGHT), one, 1e-8)
    moved = homogenize(np.roll(image, 2, 0), TWO, boundary="mirror", **TIGHT)
    assert np.abs(moved.conductivity - one.conductivity).max() > 1e-3


def test_local_fields_have_the_faces_and_the_means() -> None:
    image = random_image(2)
    whole = homogenize(image, TWO, boundary="mirror", **TIGHT)
    for load in range(3):
        fields = local_fields(image, TWO, strain=np.eye(3)[load], boundary="mirror", **TIGHT)
        assert fields.stress is not None
        assert fields.displacement is not None
        np.testing.assert_allclose(fields.stress.mean((1, 2))[load], whole.stiffness[0, load, load], rtol=1e-5)
        assert fields.displacement.shape == (2, 10, 7)
        along_x, along_y = fields.displacement
        zero = [along_x[[0, -1]], along_y[:, [0, -1]]] if load < 2 else [along_x[:, [0, -1]], along_y[[0, -1]]]
        assert not any(face.any() for face in zero)
    fields = local_fields(image, TWO, gradient=(1, 0), boundary="mirror", **TIGHT)
    assert fields.flux is not None
    assert fields.temperature is not None
    np.testing.assert_allclose(fields.flux.mean((1, 2))[0], whole.conductivity[0, 0, 0], rtol=1e-5)
    assert not fields.temperature[[0, -1]].any()


def test_a_start_from_the_solution_needs_no_iterations() -> None:
    image = random_image(2)
    first = homogenize(image, TWO, boundary="mirror", keep_fields=True, **TIGHT)
    again = homogenize(image, TWO, boundary="mirror", start=first.fields, tolerance=1e-8, precision="float64")
    assert again.iterations[0] == 0
    same(again, first)
    periodic = homogenize(image, TWO, keep_fields=True)
    with pytest.raises(InputError, match=r"start has a field of shape .*9, 6\); expected \(3, 2, 10, 7\)"):
        homogenize(image, TWO, boundary="mirror", start=periodic.fields)


def test_certified_bounds_of_mirrored_images() -> None:
    image = random_image(2)
    lower, upper = conductivity_bracket(image, TWO, boundary="mirror", tolerance=1e-8)
    fine = homogenize(image.repeat(8, 0).repeat(8, 1), TWO, boundary="mirror", tolerance=1e-6).conductivity
    for axis in range(2):
        assert lower[0, axis, axis] < fine[0, axis, axis] < upper[0, axis, axis]


def test_an_unknown_boundary_is_refused() -> None:
    for solve in (homogenize, homogenize_batch):
        with pytest.raises(InputError, match="boundary = 'wall' is unknown; expected one of periodic, mirror"):
            solve(random_image(2), TWO, boundary="wall")
