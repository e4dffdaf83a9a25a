"""What is refused or warned of before anything is computed, with the numbers."""

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.design.target.feasibility import Feasibility, check_feasible, feasibility_of
from microdesign.design.target.target import Target
from microdesign.microstructure.data.container import Microstructures
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.materials import Materials

THIRTY = {"volume_fraction": [0.0, 0.3]}


def target(constraints: dict | None = None, **properties: object) -> Target:
    return Target.model_validate({"properties": properties, "constraints": constraints or {}})


def test_outside_the_bounds(materials: Materials) -> None:
    for asked, message in [
        (target(Ex={"at_least": 11}), "Ex >= 11 is out of reach: whatever the microstructure, .* from 1 to 10"),
        (target(K={"at_least": 7.2}), "K >= 7.2 is out of reach: .* from 0.714286 to 7.14286"),
        (target(THIRTY, Ex={"between": [4, 6]}), r"Ex from 4 to 6 is out of reach: .* phase 1 from 0 to 0\.3, .* 3\.7"),
        (target(THIRTY, kx=3.0, ky={"at_least": 3}), "kx = 3 and ky >= 3 exclude each other: .*Hashin-Shtrikman"),
        (target(Gxy={"at_most": 0.5}, kx={"at_least": 8}), "exclude each other: no volume fractions"),
        (target(**{"kx/ky": {"at_least": 3.1}}), "kx/ky >= 3.1 is out of reach: .* to 3.025"),
        (target(colour={"maximize": True}), "target 'colour' is no property of images; expected some of Ex"),
    ]:
        with pytest.raises(InputError, match=message):
            check_feasible(asked, materials, FFTEvaluator())


def test_what_may_be_is_let_through(materials: Materials) -> None:
    for asked in [
        target(Ex={"maximize": True}, kx={"minimize": True}),
        target(THIRTY, kx=2.5, ky={"at_least": 2.5}),
        target(AU={"at_most": 0.1}, C11={"at_most": 5}, vxy={"at_most": 0}),
        target(**{"kx/ky": {"at_least": 3}, "Ex/Gxy": {"maximize": True}}),
    ]:
        check_feasible(asked, materials, FFTEvaluator())


def test_another_physics_may_have_properties_of_its_own(materials: Materials) -> None:
    class Permeability(FFTEvaluator):
        """Not the built-in physics as far as anyone knows."""

    class Other:
        fingerprint = "other"

        def evaluate(self, images: np.ndarray, materials: Materials) -> dict[str, np.ndarray]:
            return {"permeability": images.mean((1, 2))}

    check_feasible(target(permeability=3.0), materials, Other())
    with pytest.raises(InputError, match="Ex = 11 is out of reach"):
        check_feasible(target(permeability=3.0, Ex=11), materials, Other())
    with pytest.raises(InputError, match="'permeability' is no property"):
        check_feasible(target(permeability=3.0), materials, Permeability())


def test_a_tolerance_below_that_of_the_physics(materials: Materials) -> None:
    asked = Target(properties={"Ex": 3.0}, tolerance=1e-5)
    with pytest.raises(InputError, match=r"the tolerance 1e-05 of Ex is below that of the physics, 0\.0001"):
        check_feasible(asked, materials, FFTEvaluator())
    check_feasible(asked, materials, FFTEvaluator(tolerance=1e-6))
    own = Target(properties={"Ex": {"equals": 3.0, "tolerance": 1e-6}})
    with pytest.raises(InputError, match="the tolerance 1e-06 of Ex"):
        check_feasible(own, materials, FFTEvaluator())


def test_units_are_checked(materials: Materials) -> None:
    stated = materials.model_copy(update={"units": materials.units.model_copy(update={"E": "GPa"})})
    check_feasible(Target(properties={"Ex": 3.0}, units={"Ex": "GPa"}), stated)
    with pytest.raises(InputError, match="Ex is asked in MPa; the materials state GPa, and nothing is converted"):
        check_feasible(Target(properties={"Ex": 3.0}, units={"Ex": "MPa"}), stated)
    with pytest.raises(InputError, match="units name 'Ey', which is no property of the target"):
        check_feasible(Target(properties={"Ex": 3.0}, units={"Ey": "GPa"}), stated)


def test_what_only_anisotropic_microstructures_reach_is_said(materials: Materials) -> None:
    found = feasibility_of(target(THIRTY, Ex={"at_least": 3}, kx=2.0), materials)
    (warning,) = found.warnings
    assert "Ex >= 3 takes an anisotropic microstructure" in warning
    assert found.bounds["Ex"]["any"] == pytest.approx((1, 3.7))
    # Hashin-Shtrikman at 30 %: 10 + 0.7 / (-1/9 + 0.3/20) for the conductivity.
    assert found.bounds["kx"]["isotropic"] == pytest.approx((1, 10 + 0.7 / (-1 / 9 + 0.3 / 20)))
    assert found.bounds["Ex"]["isotropic"][1] < 3


def test_other_phases_than_the_models_are_said(materials: Materials) -> None:
    other = Materials.model_validate({"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 20, "nu": 0.3, "k": 5}]})
    assert feasibility_of(target(Ex=3.0), materials, materials).warnings == ()
    (warning,) = feasibility_of(target(Ex=3.0), other, materials).warnings
    assert "trained on other phases" in warning
    assert "corrected by the campaign's evaluations" in warning


def test_the_distance_to_data_is_by_what_they_have(materials: Materials) -> None:
    values = np.linspace(1, 5, 50)
    labels = np.zeros((50, 4, 4), np.uint8)
    data = Microstructures(labels=labels, n_phases=2, properties={"Ex": values, "kx": values[::-1].copy()})
    inside = feasibility_of(
        target(Ex={"at_least": 4}, **{"Ex/kx": {"at_least": 2}}, C11={"at_most": 9}), materials, None, data
    )
    assert inside.distance_to_data is not None
    assert inside.distance_to_data.distance == 0
    outside = feasibility_of(target(Ex=9.0, kx=9.0), materials, None, data).distance_to_data
    assert outside is not None
    assert outside.is_outside
    assert feasibility_of(target(C11=3.0), materials, None, data).distance_to_data is None
    assert inside.bounds["C11"]["any"][0] == pytest.approx(1)
    assert Feasibility.model_validate_json(inside.model_dump_json()) == inside
