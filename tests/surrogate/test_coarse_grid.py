"""Predictions by physics on a coarse grid."""

import numpy as np
import pytest
import torch

from microdesign.core.errors import EvaluationError, InputError
from microdesign.microstructure.generators.registry import generate
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.protocol import Values
from microdesign.physics.materials import Materials
from microdesign.surrogate.coarse_grid import LEAST, CoarseGrid, check_coarse, coarsened, settled_factor
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.material_transfer import MaterialTransfer
from tests.cases import case


def laminate(thickness: int = 8) -> np.ndarray:
    stripes = (np.arange(32) % (2 * thickness) < thickness).astype(np.uint8)
    return np.repeat(stripes[None, :, None], 32, axis=2)


def test_a_coarse_image_keeps_the_volume_fraction_and_blocks_of_one_phase() -> None:
    labels = (np.random.default_rng(0).random((5, 64, 64)) < 0.3).astype(np.uint8)
    coarse = coarsened(labels, 2)
    assert coarse.shape == (5, 32, 32)
    np.testing.assert_allclose(coarse.mean((1, 2)), labels.mean((1, 2)), atol=0.5 / 32**2 + 1e-9)
    np.testing.assert_array_equal(coarsened(laminate(), 2)[0], laminate()[0, ::2, ::2])


def test_a_laminate_is_predicted_exactly(surrogate: LocalSurrogate, materials: Materials) -> None:
    grid = CoarseGrid(surrogate, FFTEvaluator(tolerance=1e-8), materials, 2)
    mean, std = grid.predict(laminate())
    exact = FFTEvaluator(tolerance=1e-8).evaluate(laminate(), materials)
    np.testing.assert_allclose(mean[0], [exact["Ex"][0], exact["kx"][0]], rtol=1e-6)
    assert mean[0, 1] == pytest.approx(1 / (0.5 / 1 + 0.5 / 10), rel=1e-6)  # phases in series
    assert (std > 0).all()
    assert grid.digest != surrogate.digest
    assert grid.predict(laminate()[:0])[0].shape == (0, 2)


def test_of_unknown_phases_it_knows_more_than_the_model(surrogate: LocalSurrogate, materials: Materials) -> None:
    other = Materials.model_validate({"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 60, "nu": 0.3, "k": 60}]})
    images = generate("GRF", 12, (32, 32)).labels
    truth = FFTEvaluator().evaluate(images, other)
    true = np.stack([truth["Ex"], truth["kx"]], 1)
    carried = MaterialTransfer(surrogate, materials, other)
    model, coarse = (
        np.abs(each.predict(images)[0] / true - 1) for each in (carried, CoarseGrid(carried, FFTEvaluator(), other, 2))
    )
    assert np.median(coarse) < 0.15 < np.median(model)


class Fails:
    fingerprint = "fails"

    def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
        known = images[:, 0, 0] == 1
        error = np.where(known, "", "no answer")
        return {"Ex": np.where(known, 2.0, np.nan), "kx": np.full(len(images), 3.0), "error": error}


def test_without_an_answer_the_model_s_own_word_counts(surrogate: LocalSurrogate, materials: Materials) -> None:
    both = np.concatenate((laminate(), 1 - laminate()))
    mean, std = CoarseGrid(surrogate, Fails(), materials, 2).predict(both)
    own_mean, own_std = surrogate.predict(both)
    np.testing.assert_array_equal(mean[1], own_mean[1])
    np.testing.assert_array_equal(std[1], own_std[1])
    np.testing.assert_array_equal(mean[0], [2, 3])


def test_images_that_do_not_allow_it(materials: Materials) -> None:
    for factor in (3, 4):
        with case(factor=factor):
            physics = FFTEvaluator(), materials
            check_coarse((32, 32), 1, *physics)
            check_coarse((32, 32), 2, *physics)
            with pytest.raises(InputError, match=f"coarse_grid = {factor}: images of 32 x 32 pixels do not allow it"):
                check_coarse((32, 32), factor, *physics)


class FixedSize(FFTEvaluator):
    """A program for one size of images, and for one property."""

    def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
        if images.shape[1] != 32:
            raise EvaluationError(f"made for 32 pixels, not {images.shape[1]}")
        return {"Ex": super().evaluate(images, materials)["Ex"]}


def test_physics_that_does_not_allow_it(materials: Materials) -> None:
    with pytest.raises(InputError, match=r"no answer for 16 x 16 pixels \(EvaluationError: made for 32 pixels, not 16"):
        check_coarse((32, 32), 2, FixedSize(), materials)
    check_coarse((64, 64), 2, FixedSize(), materials)


def test_a_property_that_physics_does_not_have_is_the_model_s(surrogate: LocalSurrogate, materials: Materials) -> None:
    class Doubled(FixedSize):
        def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
            return super().evaluate(images.repeat(2, 1).repeat(2, 2), materials)

    mean, _ = CoarseGrid(surrogate, Doubled(), materials, 2).predict(laminate())
    assert mean[0, 0] == pytest.approx(FFTEvaluator().evaluate(laminate(), materials)["Ex"][0], rel=1e-3)
    assert mean[0, 1] == surrogate.predict(laminate())[0][0, 1]


def test_the_rest_is_the_model_s(surrogate: LocalSurrogate, materials: Materials) -> None:
    grid = CoarseGrid(surrogate, FFTEvaluator(), materials, 2)
    z = torch.zeros(1, 4).numpy()
    np.testing.assert_array_equal(grid.decode(z), surrogate.decode(z))
    np.testing.assert_array_equal(grid.jacobian(z), surrogate.jacobian(z))


def test_half_the_grid_predicts_for_phases_of_another_contrast_by_the_built_in_solver(materials: Materials) -> None:
    solver = FFTEvaluator()
    assert settled_factor(None, (64, 64), solver, materials, is_transferred=True) == 2
    assert settled_factor(None, (64, 64), solver, materials, is_transferred=False) == 1
    assert settled_factor(None, (64, 64), Fails(), materials, is_transferred=True) == 1  # it may be slow
    for shape in ((64, 31), (16, 64)):
        assert settled_factor(None, shape, solver, materials, is_transferred=True) == 1
    assert settled_factor(1, (64, 64), solver, materials, is_transferred=True) == 1
    with pytest.raises(InputError, match="coarse_grid = 8: images of 64 x 64 pixels do not allow it"):
        settled_factor(8, (64, 64), solver, materials, is_transferred=True)


def test_what_does_not_hang_together_is_predicted_small_and_positive(
    surrogate: LocalSurrogate, materials: Materials
) -> None:
    pores = Materials.model_validate({"phases": [{"E": 0, "nu": 0.3, "k": 0}, {"E": 10, "nu": 0.3, "k": 10}]})
    carried = MaterialTransfer(surrogate, materials, pores)
    mean, std = CoarseGrid(carried, FFTEvaluator(), pores, 2).predict(
        laminate()
    )  # layers across x carry no load along it
    model, deviation = carried.predict(laminate())
    np.testing.assert_allclose(mean, LEAST * model)
    np.testing.assert_allclose(std, LEAST * deviation)
    assert (mean > 0).all()
