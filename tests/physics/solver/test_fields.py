"""Local fields: their means are the effective tensors, laminates are exact; solutions to begin with."""

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.physics.materials import Materials
from microdesign.physics.solver.fields import local_fields
from microdesign.physics.solver.homogenization import Fields, homogenize

TWO = Materials.model_validate(
    {"plane": "strain", "phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.2, "k": 10}]}
)


def laminate(dims: int) -> np.ndarray:
    image = np.zeros((16, *[4] * (dims - 1)), np.uint8)
    image[3:8] = 1
    return image


def test_laminate_has_uniform_stress_across_the_layers(subtests: pytest.Subtests) -> None:
    for dims in [2, 3]:
        with subtests.test(dims=dims):
            image = laminate(dims)
            strain = np.eye(3 * dims - 3)[0]
            fields = local_fields(image, TWO, strain=strain, gradient=np.eye(dims)[0], dims=dims, tolerance=1e-11)
            assert fields.stress is not None
            assert fields.flux is not None
            assert fields.strain is not None
            np.testing.assert_allclose(fields.stress[0], 1.855840928, atol=1e-8)
            np.testing.assert_allclose(fields.flux[0], 1.391304348, atol=1e-8)
            np.testing.assert_allclose(fields.strain.reshape(len(strain), -1).mean(1), strain, atol=1e-12)


def test_means_are_the_effective_tensors(subtests: pytest.Subtests) -> None:
    for dims, spacing in [(2, None), (2, (2.0, 3.0)), (3, None), (3, (1.0, 2.0, 0.7))]:
        with subtests.test(dims=dims, spacing=spacing):
            image = np.random.default_rng(0).integers(0, 2, (6, 8, 5)[:dims]).astype(np.uint8)
            settings = {"dims": dims, "spacing": spacing, "tolerance": 1e-11}
            result = homogenize(image, TWO, **settings)
            strain, gradient = np.arange(1.0, 3 * dims - 2), np.arange(1.0, dims + 1)
            fields = local_fields(image, TWO, strain=strain, gradient=gradient, **settings)
            assert fields.stress is not None
            assert fields.flux is not None
            np.testing.assert_allclose(
                fields.stress.reshape(len(strain), -1).mean(1), result.stiffness[0] @ strain, atol=1e-5
            )
            np.testing.assert_allclose(
                fields.flux.reshape(dims, -1).mean(1), result.conductivity[0] @ gradient, atol=1e-5
            )


def test_voids_carry_no_stress() -> None:
    porous = Materials.model_validate({"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 0, "nu": 0.3, "k": 0}]})
    image = np.zeros((12, 12), np.uint8)
    image[4:8, 3:9] = 1
    fields = local_fields(image, porous, strain=(0, 0, 1))
    assert fields.stress is not None
    assert fields.flux is None
    assert not fields.stress[:, image == 1].any()


def test_bad_loads(subtests: pytest.Subtests) -> None:
    for settings, message in [
        ({}, "no load; expected a strain, a gradient or both"),
        ({"strain": (1, 0)}, r"strain = \(1, 0\) is not valid; expected 3 numbers"),
        ({"gradient": (1, float("nan"))}, "gradient = .* is not valid; expected 2 numbers"),
        ({"gradient": (1, 0), "spacing": (1, 0)}, r"spacing = \(1, 0\) is not valid; expected 2 lengths above 0"),
    ]:
        with subtests.test(settings=settings), pytest.raises(InputError, match=message):
            local_fields(laminate(2), TWO, **settings)


def test_loads_need_their_moduli() -> None:
    conductors = Materials.model_validate({"phases": [{"conductivity": [[1, 0], [0, 2]]}]})
    with pytest.raises(InputError, match="but the phases have no stiffness"):
        local_fields(np.zeros((4, 4), int), conductors, strain=(1, 0, 0))


def test_starting_from_the_solution_takes_no_iteration(subtests: pytest.Subtests) -> None:
    for dims, spacing in [(2, None), (2, (2.0, 3.0)), (3, None)]:
        with subtests.test(dims=dims, spacing=spacing):
            image = np.random.default_rng(0).integers(0, 2, (2, 8, 8, 6)[: dims + 1]).astype(np.uint8)
            settings = {"dims": dims, "spacing": spacing}
            cold = homogenize(image, TWO, tolerance=1e-8, keep_fields=True, **settings)
            again = homogenize(image, TWO, tolerance=1e-6, start=cold.fields, **settings)
            assert not again.iterations.any()
            np.testing.assert_allclose(again.stiffness, cold.stiffness, rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(again.conductivity, cold.conductivity, rtol=1e-6, atol=1e-6)
            assert not homogenize(image, TWO, **settings).fields


def test_a_neighbour_s_solution_saves_iterations() -> None:
    x = np.arange(64)
    image = ((x[:, None] // 8 + x // 8) % 2 & (x[:, None] % 8 < 6)).astype(np.uint8)
    other = image.copy()
    other[30:33, 20:24] ^= 1
    stiff = Materials.model_validate({"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 100, "nu": 0.3, "k": 100}]})
    cold = homogenize(other, stiff)
    warm = homogenize(other, stiff, start=homogenize(image, stiff, keep_fields=True).fields)
    exact = homogenize(other, stiff, tolerance=1e-10)
    assert warm.iterations[0] < cold.iterations[0]
    np.testing.assert_allclose(np.diag(warm.stiffness[0]), np.diag(exact.stiffness[0]), rtol=2e-4)


def test_start_has_to_fit(subtests: pytest.Subtests) -> None:
    for count in [1, 3]:
        with subtests.test(count=count):
            images = np.zeros((2, 4, 4), np.uint8)
            with pytest.raises(InputError, match=f"start has the fields of {count} images; expected those of 2"):
                homogenize(images, TWO, start=[Fields(None, None)] * count)
            with pytest.raises(InputError, match=r"start has a field of shape \(3, 2, 5, 4\); expected \(3, 2, 4, 4\)"):
                homogenize(images[0], TWO, start=[Fields(np.zeros((3, 2, 5, 4)), None)])
