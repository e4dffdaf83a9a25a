"""Two discretizations and the certified bounds of plane conduction."""

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.physics.label_images import NamedImage
from microdesign.physics.materials import Materials
from microdesign.physics.report import homogenize_report
from microdesign.physics.solver.homogenization import homogenize
from microdesign.physics.solver.uncertainty import (
    conductivity_bracket,
    discretization_uncertainty,
    dual_materials,
    property_bracket,
)


def phases_of(*phases: tuple[float, float, float]) -> Materials:
    return Materials.model_validate({"phases": [{"E": E, "nu": nu, "k": k} for E, nu, k in phases]})


TWO = phases_of((1, 0.3, 1), (10, 0.3, 10))


def blocks(size: int = 8, seed: int = 0, phases: int = 2, factor: int = 2) -> np.ndarray:
    image = np.random.default_rng(seed).integers(0, phases, (size, size)).astype(np.uint8)
    return np.repeat(np.repeat(image, factor, 0), factor, 1)


def test_bracket_holds_the_refined_value(subtests: pytest.Subtests) -> None:
    """The bounds of coarse pixels contain the geometry's value; those of finer pixels lie inside them."""
    for phases in [TWO, phases_of((1, 0.3, 1), (10, 0.2, 30), (3, 0.1, 5))]:
        with subtests.test(phases=phases):
            image = blocks(6, phases=len(phases.phases), factor=2)
            lower, upper = (bound[0] for bound in conductivity_bracket(image, phases, tolerance=1e-8))
            fine = image.repeat(4, 0).repeat(4, 1)
            inner_lower, inner_upper = (bound[0] for bound in conductivity_bracket(fine, phases, tolerance=1e-8))
            for smaller, larger in ((lower, inner_lower), (inner_lower, inner_upper), (inner_upper, upper)):
                assert np.linalg.eigvalsh(larger - smaller).min() > 0
            np.testing.assert_allclose(inner_lower, inner_upper, rtol=0.1, atol=0.1)
            middle = homogenize(fine.repeat(2, 0).repeat(2, 1), phases, discretization="rotated").conductivity[0]
            assert np.linalg.eigvalsh(middle - lower).min() > 0
            assert np.linalg.eigvalsh(upper - middle).min() > 0


def test_bracket_is_keller_s_relation() -> None:
    image = blocks()
    lower, _ = conductivity_bracket(image, TWO, tolerance=1e-10)
    swapped = homogenize(1 - image, TWO, tolerance=1e-10).conductivity[0]
    turn = np.array([[0, -1], [1, 0]])
    np.testing.assert_allclose(lower[0], 10 * turn.T @ np.linalg.inv(swapped) @ turn, atol=1e-8)


def test_laminate_has_no_gap_and_a_tight_bracket() -> None:
    image = np.zeros((16, 8), np.uint8)
    image[3:8] = 1
    both = discretization_uncertainty(image, TWO, tolerance=1e-9)
    assert all(gap[0] < 1e-8 for gap in both.gap.values())
    assert both.bracket is not None
    bounds = property_bracket(*both.bracket)
    np.testing.assert_allclose(bounds["kx"], 1.391304348, atol=1e-8)
    np.testing.assert_allclose(bounds["ky"], 3.8125, atol=1e-8)


def test_uncertainty_shrinks_with_the_pixels() -> None:
    image = blocks(6)
    coarse = discretization_uncertainty(image, TWO)
    fine = discretization_uncertainty(image.repeat(4, 0).repeat(4, 1), TWO)
    for name in ("Ex", "Ey", "Gxy", "kx", "ky"):
        assert fine.gap[name][0] < 0.6 * coarse.gap[name][0]
        assert coarse.properties[name].shape == (2, 1)


def test_anisotropic_phases_have_duals() -> None:
    crystal = {"conductivity": [[4, 1], [1, 2]], "E": 1, "nu": 0.3}
    materials = Materials.model_validate({"phases": [crystal, {**crystal, "angle": 90}]})
    k = materials.conductivity_tensors(2)
    assert k is not None
    turn = np.array([[0, -1], [1, 0]])
    np.testing.assert_allclose(dual_materials(materials).conductivity_tensors(2), turn @ np.linalg.inv(k) @ turn.T)
    lower, upper = conductivity_bracket(blocks(), materials, tolerance=1e-8)
    assert np.linalg.eigvalsh(upper[0] - lower[0]).min() > 0
    # K' of a polycrystal of two orientations: det K = det k (A. M. Dykhne 1970; K. S. Mendelson 1975).
    assert np.linalg.det(lower[0]) < 7 < np.linalg.det(upper[0])


def test_insulators_have_no_bracket() -> None:
    porous = phases_of((1, 0.3, 1), (1, 0.3, 0))
    image = np.zeros((12, 12), np.uint8)
    image[3:8, 4:9] = 1
    with pytest.raises(InputError, match=r"a phase does not conduct \(k = 0\)"):
        conductivity_bracket(image, porous)
    assert discretization_uncertainty(image, porous).bracket is None


def test_report_has_the_extra_keys() -> None:
    (plain,) = homogenize_report([("a", blocks())], TWO)
    (entry,) = homogenize_report([("a", blocks())], TWO, uncertainty=True)
    doubt = entry.pop("uncertainty")
    assert entry == plain
    assert list(doubt) == ["q1", "rotated", "gap", "bounds"]
    assert doubt["q1"] == plain["properties"]
    assert doubt["gap"]["Ex"] == pytest.approx(abs(doubt["q1"]["Ex"] - doubt["rotated"]["Ex"]))
    low, high = doubt["bounds"]["kx"]
    assert low < doubt["rotated"]["kx"] < high
    with pytest.raises(InputError, match="does not go with the uncertainty"):
        homogenize_report([("a", blocks())], TWO, uncertainty=True, discretization="rotated")


def test_report_of_volumes() -> None:
    volume = np.random.default_rng(0).integers(0, 2, (6, 6, 6)).astype(np.uint8)
    (entry,) = homogenize_report([("v", volume)], TWO, dims=3, uncertainty=True)
    assert np.shape(entry["stiffness"]) == (6, 6)
    assert entry["properties"]["C45"] == entry["stiffness"][3][4]
    assert "bounds" not in entry["uncertainty"]
    assert entry["uncertainty"]["gap"]["k33"] > 0
    with pytest.raises(InputError, match=r"v: has shape \(6, 6, 6\); expected one image"):
        homogenize_report([("v", volume)], TWO)


def test_report_of_a_solid_that_does_not_hang_together() -> None:
    image = np.zeros((8, 8), np.uint8)
    image[3:5] = 1
    (entry,) = homogenize_report([("gap.npy", image)], phases_of((1, 0.3, 1), (0, 0.3, 0)), uncertainty=True)
    assert [name for name, value in entry["properties"].items() if value is None] == ["vxy", "vyx"]
    assert (entry["properties"]["Ex"], entry["properties"]["kx"]) == (0, 0)
    assert entry["uncertainty"]["gap"]["vxy"] is None
    assert entry["uncertainty"]["gap"]["Ey"] < 1e-6


def test_bounds_of_mirrored_images_hold_what_fine_pixels_give() -> None:
    (entry,) = homogenize_report([NamedImage("a", blocks(), periodic=False)], TWO, uncertainty=True, tolerance=1e-6)
    assert entry["boundary"] == "mirror"
    (fine,) = homogenize_report([("a", blocks().repeat(6, 0).repeat(6, 1))], TWO, boundary="mirror")
    for name, (lower, upper) in entry["uncertainty"]["bounds"].items():
        assert lower < fine["properties"][name] < upper
