"""Properties as the model sees them."""

import math

import numpy as np
import pytest
import torch

from microdesign.core.config import validate_config
from microdesign.core.errors import InputError
from microdesign.model.standardization import Standardization

NAMES, UNITS = ("Ex", "vxy", "kx"), ("MPa", "1", "W/m/K")


def values(n: int = 50) -> np.ndarray:
    stream = np.random.default_rng(0)
    return np.stack([stream.lognormal(8, 2, n), stream.normal(-0.1, 0.3, n), stream.lognormal(0, 1, n)], axis=1)


def fitted() -> Standardization:
    return Standardization.fit(values(), NAMES, UNITS)


def test_standardised_values_have_mean_zero_and_deviation_one() -> None:
    standardized = fitted().forward(values())
    np.testing.assert_allclose(standardized.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(standardized.std(0), 1)


def test_round_trip_with_negative_poisson_ratios() -> None:
    assert (values()[:, 1] < 0).any()
    np.testing.assert_allclose(fitted().inverse(fitted().forward(values())), values(), rtol=1e-12)
    single = values()[3]
    np.testing.assert_allclose(fitted().inverse(fitted().forward(single)), single)


def test_positive_properties_are_seen_by_ratio_and_signed_ones_by_difference() -> None:
    one, base = fitted(), np.array([10.0, -0.2, 1.0])
    steps = one.forward(base * [2, 1, 2] + [0, 0.1, 0]) - one.forward(base)
    np.testing.assert_allclose(steps * one.scales, [np.log(2), 0.1, np.log(2)])


def test_physical_deviation_is_the_slope_of_the_inverse() -> None:
    one, at, h = fitted(), np.array([0.3, -0.5, 1.2]), 1e-6
    slope = (one.inverse(at + h) - one.inverse(at - h)) / (2 * h)
    np.testing.assert_allclose(one.inverse_std(one.inverse(at), np.ones(3)), slope, rtol=1e-6)


def test_everything_finite_standardised_is_physical() -> None:
    assert (fitted().inverse(np.full(3, -8.0))[[0, 2]] > 0).all()


def test_a_modulus_of_zero_is_not_known() -> None:
    """Of a solid that pores cut: as for a missing label, no loss counts it; a signed property may be 0."""
    zero, base = fitted().forward(np.zeros(3)), fitted().forward(np.array([1.0, 0.0, 1.0]))
    assert np.isnan(zero).tolist() == [True, False, True]
    assert zero[1] == base[1]


def test_values_without_an_image() -> None:
    for column, value, message in (
        (0, 0.0, r"Property 'Ex' of sample 7 is 0.0; expected it finite and > 0\."),
        (0, -3.0, r"Property 'Ex' of sample 7 is -3.0; expected it finite and > 0\."),
        (2, np.nan, r"Property 'kx' of sample 7 is nan; expected it finite and > 0\."),
        (1, np.inf, r"Property 'vxy' of sample 7 is inf; expected it finite\."),
    ):
        bad = values()
        bad[7, column] = value
        with pytest.raises(InputError, match=message):
            Standardization.fit(bad, NAMES, UNITS)
        with pytest.raises(InputError, match=message):
            fitted().check(bad)
    fitted().check(values())


def test_a_property_that_does_not_vary() -> None:
    flat = values()
    flat[:, 1] = 0.3
    with pytest.raises(InputError, match="Property 'vxy' is the same in all 50 samples; a model needs variation"):
        Standardization.fit(flat, NAMES, UNITS)


def test_no_samples() -> None:
    with pytest.raises(InputError, match="no samples to fit"):
        Standardization.fit(values(0), NAMES, UNITS)


def test_inconsistent_descriptions() -> None:
    for change, message in (
        ({"scales": [1, 1]}, "scales has 2 entries; expected 3, one per property"),
        ({"units": []}, "units has 0 entries; expected 3"),
        ({"scales": [1, 0, 1]}, "'scales.1' = 0 is not valid: Input should be greater than 0"),
        ({"names": []}, "units has 3 entries; expected 0"),
        ({"offset": [0]}, "unknown key 'offset'"),
    ):
        with pytest.raises(InputError, match=message):
            validate_config(Standardization, fitted().model_dump(mode="json") | change, "model.json")


def test_couplings_and_pairs_of_materials_keep_their_sign() -> None:
    names = ("C16", "C11", "k12", "vxy.2", "Ex.2", "C12")
    values = np.random.default_rng(0).normal(size=(50, 6))
    values[:, [1, 4]] = np.exp(values[:, [1, 4]])
    fitted = Standardization.fit(values, names, ("",) * 6)
    np.testing.assert_allclose(fitted.inverse(fitted.forward(values)), values, rtol=1e-9)
    assert fitted.offsets[0] == pytest.approx(values[:, 0].mean())
    assert fitted.offsets[5] == pytest.approx(values[:, 5].mean())  # negative where the solid is auxetic
    assert fitted.offsets[4] == pytest.approx(np.log(values[:, 4]).mean())


def test_relative_changes_are_those_of_the_physical_values() -> None:
    names = ("Ex", "vxy", "k12")
    made = Standardization(names=names, units=("", "", ""), offsets=(1.0, 0.3, 0.0), scales=(0.5, 0.03, 2.0))
    c = torch.tensor([[0.4, -0.5, 0.1], [1.0, 2.0, math.nan]], dtype=torch.float64)
    step = 1e-6
    values, moved = made.inverse(c.numpy()), made.inverse(c.numpy() + step)
    expected = torch.from_numpy((moved - values) / np.abs(values) / step)
    torch.testing.assert_close(made.relative(c)[:, :2], expected[:, :2], rtol=1e-4, atol=0)
    assert made.relative(c)[0, 2] == 1  # a coupling that is smaller than its spread
    assert made.relative(c)[1, 2] == 0  # not known
