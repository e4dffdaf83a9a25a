"""Properties that a model lacks: exact where they are polynomials of logarithms, none where labels are missing."""

import numpy as np
import pytest

from microdesign.surrogate.further_properties import PropertyRegression

STREAM = np.random.default_rng(0)
EX, KX = np.exp(STREAM.normal(1, 0.4, (2, 300)))
TABLE = {"Ex": EX, "kx": KX, "ky": EX**2 / KX, "vxy": 0.3 - 0.05 * np.log(EX), "Gxy": np.where(EX > 3, np.nan, EX / 2)}


def test_a_power_law_is_found_exactly_also_beyond_the_data() -> None:
    beyond = {"Ex": np.array([40.0, 0.1]), "kx": np.array([0.2, 9.0])}
    for name, expected in {
        "ky": beyond["Ex"] ** 2 / beyond["kx"],
        "kx/ky": beyond["kx"] ** 2 / beyond["Ex"] ** 2,
        "vxy": 0.3 - 0.05 * np.log(beyond["Ex"]),
        "Gxy": beyond["Ex"] / 2,  # of the images that have it
    }.items():
        found = PropertyRegression.fit(TABLE, ["Ex", "kx"], name)
        assert found is not None, name
        assert found.values(beyond) == pytest.approx(expected, rel=2e-3), name
        assert found.deviation < 1e-3, name


def test_what_is_not_explained_is_its_deviation() -> None:
    noisy = TABLE | {"ky": TABLE["ky"] * np.exp(0.1 * STREAM.standard_normal(300))}
    found = PropertyRegression.fit(noisy, ["Ex", "kx"], "ky")
    assert found is not None
    assert found.deviation == pytest.approx(0.1, rel=0.15)


def test_zeros_take_a_property_off_the_logarithmic_scale() -> None:
    """Of pores that cut the solid Ex is 0."""
    porous = {"Ex": np.where(EX < 2, 0.0, EX), "kx": KX}
    porous["ky"] = 1 + porous["Ex"]
    found = PropertyRegression.fit(porous, ["Ex"], "ky")
    assert found is not None
    assert np.isfinite(found.values({"Ex": np.array([0.0, 3.0])})).all()
    without = PropertyRegression.fit(TABLE, ["Ex"], "ky")
    assert without is not None
    assert np.isnan(without.values({"Ex": np.array([0.0, -1.0])})).all()


def test_nothing_is_fitted_to_few_images_or_missing_labels() -> None:
    assert PropertyRegression.fit({n: v[:23] for n, v in TABLE.items()}, ["Ex", "kx"], "ky") is None
    assert PropertyRegression.fit(TABLE, ["Ex", "kx"], "hardness") is None
    assert PropertyRegression.fit(TABLE, ["Ex", "Ey"], "ky") is None
