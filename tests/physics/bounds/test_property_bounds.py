import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.core.properties import known
from microdesign.physics.bounds.property_bounds import (
    hashin_shtrikman,
    phase_moduli,
    property_bounds,
    reuss,
    voigt,
    young_planes,
)
from microdesign.physics.bounds.reachability import check_reachable
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.materials import Materials
from microdesign.physics.properties import engineering_constants, property_names, property_values


def materials_of(*phases: tuple[float, float, float], plane: str = "stress") -> Materials:
    return Materials.model_validate({"plane": plane, "phases": [{"E": E, "nu": nu, "k": k} for E, nu, k in phases]})


TWO = materials_of((100, 0.3, 1), (1000, 0.3, 10))
THREE = materials_of((100, 0.3, 1), (1000, 0.3, 10), (500, -0.2, 30))


def test_means() -> None:
    assert voigt(np.array([1, 10]), np.array([0.25, 0.75])) == pytest.approx(7.75)
    assert reuss(np.array([1, 10]), np.array([0.25, 0.75])) == pytest.approx(1 / 0.325)
    assert voigt(np.array([1, 10]), np.full((4, 2), 0.5)).shape == (4,)


def test_hashin_shtrikman_conductivity_is_maxwell_garnett() -> None:
    """Coated discs in two dimensions: k1 + f2 / (1 / (k2 - k1) + f1 / (2 k1))."""
    low, high = hashin_shtrikman(TWO, np.array([0.6, 0.4]))["k"]
    assert low == pytest.approx(1 + 0.4 / (1 / 9 + 0.6 / 2))
    assert high == pytest.approx(10 + 0.6 / (-1 / 9 + 0.4 / 20))


def test_hashin_shtrikman_bulk_is_the_coated_disc() -> None:
    moduli = phase_moduli(TWO)
    (K1, K2), (mu1, _) = moduli["K"], moduli["mu"]
    low, _ = hashin_shtrikman(TWO, np.array([0.6, 0.4]))["K"]
    assert low == pytest.approx(K1 + 0.4 / (1 / (K2 - K1) + 0.6 / (K1 + mu1)))


def test_hashin_shtrikman_is_inside_voigt_reuss() -> None:
    for materials in (TWO, THREE):
        fractions = np.random.default_rng(0).dirichlet(np.ones(len(materials.phases)), 50)
        moduli = phase_moduli(materials)
        for name, (low, high) in hashin_shtrikman(materials, fractions).items():
            assert (reuss(moduli[name], fractions) <= low * (1 + 1e-12)).all()
            assert (low <= high * (1 + 1e-12)).all()
            assert (high <= voigt(moduli[name], fractions) * (1 + 1e-12)).all()
        pure = hashin_shtrikman(materials, np.eye(len(materials.phases)))
        for name, (low, high) in pure.items():
            np.testing.assert_allclose(low, moduli[name])
            np.testing.assert_allclose(high, moduli[name])


def test_phase_moduli() -> None:
    np.testing.assert_allclose(phase_moduli(TWO)["E"], [100, 1000])
    strain = phase_moduli(materials_of((100, 0.3, 1), plane="strain"))
    assert strain["E"][0] == pytest.approx(100 / (1 - 0.3**2))


def test_property_bounds_of_equal_poisson_ratios() -> None:
    bounds = property_bounds(TWO)
    assert bounds["Ex"] == bounds["Ey"] == pytest.approx((100, 1000))
    assert bounds["Gxy"] == pytest.approx((100 / 2.6, 1000 / 2.6))
    assert bounds["kx"] == bounds["ky"] == (1, 10)
    assert bounds["vxy"] == pytest.approx((-(10**0.5), 10**0.5))


def test_voigt_mean_can_be_stiffer_than_its_phases() -> None:
    materials = materials_of((100, -0.5, 1), (100, 0.45, 1))
    f = np.linspace(0, 1, 1001)[:, None] * [1, -1] + [0, 1]
    moduli = phase_moduli(materials)
    K, mu = voigt(moduli["K"], f), voigt(moduli["mu"], f)
    E = 4 * K * mu / (K + mu)
    assert E.max() > 120
    assert E.max() <= property_bounds(materials)["Ex"][1] <= E.max() * (1 + 1e-5)
    planes = young_planes(materials, np.linspace(0, 1, 401)) @ f.T
    assert (planes >= E * (1 - 1e-12)).all()
    np.testing.assert_allclose(planes.min(axis=0), E, rtol=1e-4)


def test_laminates_touch_the_bounds() -> None:
    """Along the layers conductivity is Voigt's, across it is Reuss's: both must be called reachable."""
    f = np.array([0.3, 0.7])
    kx, ky = float(reuss(np.array([1, 10]), f)), float(voigt(np.array([1, 10]), f))
    check_reachable({"kx": kx, "ky": ky}, TWO)
    check_reachable({"Ex": 100, "Gxy": 100 / 2.6, "vxy": 0.3, "kx": 1}, TWO)


def test_a_volume_fraction_tightens_the_bounds() -> None:
    bounds = property_bounds(TWO, {1: (0.0, 0.3)})
    assert bounds["kx"] == pytest.approx((1, 3.7))
    assert bounds["Ex"] == pytest.approx((100, 370))
    bounds = property_bounds(TWO, {1: (0.2, 0.3)})
    assert bounds["kx"] == pytest.approx((1 / 0.82, 3.7))
    for name, (low, high) in property_bounds(THREE, {1: (0.1, 0.5)}).items():
        whole = property_bounds(THREE)[name]
        assert whole[0] <= low <= high <= whole[1]


def test_a_volume_fraction_excludes_targets() -> None:
    cases: tuple[tuple[dict[str, float | tuple[float, float]], str], ...] = (
        ({"Ex": 400}, r"Ex = 400 is out of reach: with a volume fraction of phase 1 from 0 to 0\.3, .* 100 to 370"),
        ({"kx/ky": (2.8, np.inf)}, r"kx/ky >= 2\.8 is out of reach: with a volume fraction .* to 2\.701 \(Voigt"),
        ({"kx": 3, "ky": 3}, r"kx = 3 and ky = 3 exclude .* comes with ky from .* to 2\.\d+ \(Hashin-Shtrikman"),
    )
    for targets, message in cases:
        check_reachable(targets, TWO)
        with pytest.raises(InputError, match=message):
            check_reachable(targets, TWO, {1: (0.0, 0.3)})


def test_mixtures_are_reachable() -> None:
    rng = np.random.default_rng(1)
    for materials in (TWO, THREE):
        for f in rng.dirichlet(np.ones(len(materials.phases)), 5):
            lam, mu = f @ materials.lame_moduli
            C = np.array([[lam + 2 * mu, lam, 0], [lam, lam + 2 * mu, 0], [0, 0, mu]])
            K = np.diag([float(voigt(materials.conductivities, f)), float(reuss(materials.conductivities, f))])
            targets = {name: float(value[0]) for name, value in engineering_constants(C[None], K[None]).items()}
            check_reachable(targets, materials)


def test_targets_of_physics_that_the_phases_lack() -> None:
    conductive = Materials.model_validate({"phases": [{"k": 1}, {"k": 10}]})
    elastic = Materials.model_validate({"phases": [{"E": 1, "nu": 0.3}, {"E": 10, "nu": 0.3}]})
    assert property_bounds(conductive) == dict.fromkeys(("kx", "ky", "k11", "k22"), (1, 10))
    assert set(property_names(elastic)) < set(property_bounds(elastic))
    assert not any(name.startswith("k") for name in property_bounds(elastic))
    check_reachable({"kx": 4}, conductive)
    check_reachable({"Ex": 4}, elastic)
    message = r"target Ex does not exist .* phases have no stiffness \(E and nu\); expected some of kx, ky\."
    with pytest.raises(InputError, match=message):
        check_reachable({"kx": 4, "Ex": 4}, conductive)
    with pytest.raises(
        InputError, match=r"target ky does not exist .* no conductivity \(k\); expected some of Ex, vxy"
    ):
        check_reachable({"ky": 4}, elastic)


def test_unreachable_targets() -> None:
    cases: tuple[tuple[dict[str, float | tuple[float, float]], Materials, str], ...] = (
        ({"Ex": 2000}, TWO, r"target Ex = 2000 is out of reach: .* from 100 to 1000 \(Voigt-Reuss bounds\)"),
        ({"Ex": 500, "ky": 0.5}, TWO, "target ky = 0.5 is out of reach: .* from 1 to 10"),
        ({"vxy": -4}, TWO, "target vxy = -4 is out of reach: .* positive definite"),
        ({"colour": 4}, TWO, "target 'colour' is no property of images; expected some of Ex, vxy"),
        ({"kx/ky/Ex": 4}, TWO, "is no property"),
        ({"C11": 4}, TWO, "target C11 = 4 is out of reach: .* give C11 from 100 to 1098"),
        ({"AU": (-2, -1)}, TWO, r"target AU from -2 to -1 is out of reach: .* from 0 to inf \(by definition\)"),
        ({"kx": (11, np.inf)}, TWO, "target kx >= 11 is out of reach"),
        ({"K": (-np.inf, 10)}, TWO, "target K <= 10 is out of reach"),
        ({"kx/ky": 4}, TWO, r"target kx/ky = 4 is out of reach: these phases give kx/ky from 0\.330579 to 3\.025 "),
        ({"kx": (9, np.inf), "ky": (-np.inf, 4)}, TWO, "targets kx >= 9 and ky <= 4 exclude each other"),
        ({"Ex": float("nan")}, TWO, "target Ex = nan is not a number"),
        (
            {"Ey": 500, "Ex": 900, "kx": 2},
            TWO,
            r"targets Ex = 900 and kx = 2 exclude .*Ex needs 0\.888 to 0\.988; kx needs",
        ),
        ({"Gxy": 38.5, "ky": 29}, THREE, r"targets Gxy = 38\.5 and ky = 29 exclude each other: no volume fractions"),
    )
    for targets, materials, message in cases:
        with pytest.raises(InputError, match=message):
            check_reachable(targets, materials)


SAME_STIFFNESS = materials_of((100, 0.3, 1), (100, 0.3, 10))
SAME_CONDUCTIVITY = materials_of((100, 0.3, 7), (1000, 0.2, 7))
SAME = materials_of((100, 0.3, 7), (100, 0.3, 7), plane="strain")


def test_what_does_not_depend_on_the_microstructure_is_known_exactly() -> None:
    """Phases of one stiffness, of one conductivity, or identical: bounds have no width, and nothing divides by it."""
    image = (np.indices((8, 8)).sum(0) % 3 == 0).astype(np.uint8)
    for materials, constant in (
        (SAME_STIFFNESS, "stiffness"),
        (SAME_CONDUCTIVITY, "conductivity"),
        (SAME, "stiffness"),
        (SAME, "conductivity"),
    ):
        values = FFTEvaluator(tolerance=1e-10).evaluate(image[None], materials)
        for fraction in ({}, {1: (0.2, 0.5)}):
            bounds = property_bounds(materials, fraction)
            names = [n for n, entry in known(2).items() if n in bounds and entry.tensors == (constant,)]
            assert len(names) == (4 if constant == "conductivity" else 12)
            for name in names:
                value = bounds[name][0]
                assert bounds[name] == (value, value)
                assert property_values(values, name)[0] == pytest.approx(value, rel=1e-8, abs=1e-8), name
                check_reachable({name: value}, materials, fraction)
                with pytest.raises(InputError, match=f"target {name} = .* is out of reach"):
                    check_reachable({name: 1.1 * value + 0.1}, materials, fraction)
    check_reachable({"kx": 7, "ky": 7, "kx/ky": 1}, SAME_CONDUCTIVITY, {1: (0.2, 0.5)})
    check_reachable({"Ex": 500, "kx": 7, "ky": 7}, SAME_CONDUCTIVITY)
    with pytest.raises(InputError, match=r"target kx/ky = 1\.2 is out of reach: these phases give kx/ky from 1 to 1 "):
        check_reachable({"kx/ky": 1.2}, SAME_CONDUCTIVITY)


def test_volumes_are_within_the_bounds() -> None:
    """Real volumes of two and of three phases, at their own fractions; laminates touch them."""
    stream = np.random.default_rng(0)
    for materials in (TWO, THREE):
        labels = stream.integers(0, len(materials.phases), (3, 8, 8, 8), np.uint8)
        labels[0] = np.arange(8)[:, None] % len(materials.phases)
        values = FFTEvaluator(tolerance=1e-6).evaluate(labels, materials)
        for i, volume in enumerate(labels):
            shares = np.bincount(volume.ravel(), minlength=len(materials.phases)) / volume.size
            fractions = {phase: (share, share) for phase, share in enumerate(shares.tolist())}
            bounds = property_bounds(materials, fractions, 3)
            assert {"C33", "C44", "Ez", "Gyz", "kz", "k33", "K", "G", "E", "AU", "vzx"} <= set(bounds)
            for name, (low, high) in bounds.items():
                assert low * (1 - 1e-5) - 1e-9 <= values[name][i] <= high * (1 + 1e-5) + 1e-9, name
            check_reachable(
                {name: float(values[name][i]) for name in ("C11", "Ez", "kx", "K", "Gyz")}, materials, dims=3
            )
            isotropic = hashin_shtrikman(materials, shares, 3)
            assert all(isotropic[name][0] <= isotropic[name][1] for name in isotropic)
    # Coated spheres, which have Hashin and Shtrikman's conductivity (Maxwell).
    low, _ = hashin_shtrikman(TWO, np.array([0.6, 0.4]), 3)["k"]
    assert low == pytest.approx(1 + 0.4 / (1 / 9 + 0.6 / 3))
    with pytest.raises(InputError, match="do not add up to 1"):
        property_bounds(TWO, {0: (0.1, 0.2), 1: (0.3, 0.4)}, 3)
