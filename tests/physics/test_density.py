"""Densities of phases: that of an image, specific properties, what is refused."""

from typing import Any

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.physics.bounds.reachability import check_reachable
from microdesign.physics.effective_properties import homogenize
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.protocol import Values, evaluate_each, given_properties
from microdesign.physics.materials import Materials
from microdesign.physics.properties import property_names, property_unit, property_values

LIGHT, HEAVY = {"E": 2.0, "nu": 0.3, "k": 1.0, "density": 1.0}, {"E": 10.0, "nu": 0.3, "k": 10.0, "density": 4.0}


def phases(*given: Any, **settings: Any) -> Materials:
    return Materials.model_validate({"phases": list(given), **settings})


def layers(fraction: float, n: int = 16) -> np.ndarray:
    """Layers along x, uint8 `(1, n, n)`."""
    return np.broadcast_to(np.arange(n) < fraction * n, (1, n, n)).astype(np.uint8)


def test_the_specific_stiffness_of_a_laminate() -> None:
    """Voigt's mean over the mean density, whatever the evaluator; it is no label, which models would learn."""
    materials = phases(LIGHT, HEAVY, units={"E": "GPa", "density": "g/cm3"})
    values = evaluate_each(FFTEvaluator(), np.concatenate([layers(0.25), layers(0.5)]), materials)
    assert values["density"].tolist() == [1.75, 2.5]
    assert property_values(values, "Ex/density") == pytest.approx([4 / 1.75, 6 / 2.5], rel=1e-3)
    assert property_unit("Ex/density", materials) == "(GPa)/(g/cm3)"
    assert "density" not in property_names(materials)
    assert "density" in (given_properties(FFTEvaluator(), materials) or ())
    result = homogenize(layers(0.25)[0], materials)
    assert result.density == 1.75
    assert result["Ex/density"] == pytest.approx(4 / 1.75, rel=1e-3)
    assert result.units["density"] == "g/cm3"
    volume = homogenize(np.stack([layers(0.25)[0]] * 4), materials, dims=3)
    assert volume.density == 1.75


class Failing:
    """Answers for images with some of phase 1 alone."""

    fingerprint = "failing"

    def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
        return {"Ex": np.where(images.mean((1, 2)) > 0, 3.0, np.nan)}


def test_an_image_that_failed_has_no_density_either() -> None:
    values = evaluate_each(Failing(), np.concatenate([layers(0.0), layers(0.5)]), phases(LIGHT, HEAVY))
    assert values["error"][0]
    assert np.isnan(values["density"]).tolist() == [True, False]


def test_densities_are_of_all_phases_or_of_none() -> None:
    bare = {name: value for name, value in LIGHT.items() if name != "density"}
    for given, message in (
        ((bare, HEAVY), "phase 0 has no density, but another phase has one; that of a pore is 0"),
        (({**LIGHT, "density": 0}, {**HEAVY, "density": 0}), "density is 0 in every phase"),
        (({**LIGHT, "density": -1}, HEAVY), "greater than or equal to 0"),
    ):
        with pytest.raises(ValueError, match=message):
            phases(*given)
    assert not phases(bare, bare).has_density
    assert phases("aluminium", "pore").densities.tolist() == [2700, 0]
    assert phases("aluminium", "pore").units.density == "kg/m3"
    assert phases("aluminium", "pore", units={"density": "g/cm3"}).densities.tolist() == [2.7, 0]
    assert phases({**bare, "density": "2 g/cm3"}, {**bare, "density": "500 kg/m3"}).densities.tolist() == [2, 0.5]
    assert not phases("aluminium", {"E": "3 GPa", "nu": 0.3, "k": "1 W/(m K)"}).has_density


def test_densities_change_what_is_stored_but_not_which_phases_a_model_is_of() -> None:
    with_them, bare = phases(LIGHT, HEAVY), phases(*({**each, "density": None} for each in (LIGHT, HEAVY)))
    assert with_them.tensor_digest == bare.tensor_digest == bare.digest != with_them.digest


def test_targets_beyond_what_densities_allow_are_refused() -> None:
    """The density is the mean itself, so that it fixes the volume fraction: 1.75 is a quarter of the heavy phase."""
    materials = phases(LIGHT, HEAVY)
    check_reachable({"density": 1.75, "Ex": 3.9}, materials)
    check_reachable({"density": (-np.inf, 1.75), "Ex": (3.9, np.inf)}, materials)
    check_reachable({"Ex/density": 2.4}, materials)
    for target, message in (
        ({"density": 5.0}, "target density = 5 is out of reach: whatever the microstructure, .* from 1 to 4"),
        ({"density": (-np.inf, 1.75), "Ex": (4.1, np.inf)}, "density <= 1.75 and Ex >= 4.1 exclude each other"),
        ({"density": (2.5, np.inf), "Ex": (-np.inf, 3.0)}, "density >= 2.5 and Ex <= 3 exclude each other"),
        ({"Ex/density": 2.6}, "Ex/density = 2.6 is out of reach: these phases give Ex/density from"),
    ):
        with pytest.raises(InputError, match=message):
            check_reachable(target, materials)
    check_reachable({"Ex/density": 2.4}, phases({"E": 0, "k": 0, "density": 0}, HEAVY))
    with pytest.raises(InputError, match="whose phases have no density"):
        check_reachable({"Ex/density": 2.4}, phases({"E": 1, "nu": 0.3}, {"E": 2, "nu": 0.3}))
