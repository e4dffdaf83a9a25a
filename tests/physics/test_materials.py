import math
from pathlib import Path

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.physics.materials import Materials, lame, load_materials


def written(folder: Path, text: str) -> Path:
    path = folder / "materials.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_load_materials(tmp_path: Path) -> None:
    path = written(
        tmp_path, "plane: strain\nphases: [{E: 1000, nu: 0.3, k: 1}, {E: 10, nu: 0.2, k: 7}]\nunits: {E: MPa}"
    )
    materials = load_materials(path)
    assert materials.plane == "strain"
    assert [phase.E for phase in materials.phases] == [1000, 10]
    assert materials.units.E == "MPa"
    assert materials.units.k == "as k in the materials"


def test_bad_materials(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for phases, message in [
        ("[{E: -1, nu: 0.3, k: 1}]", r"'phases\.0\.E' = -1 is not valid: .*greater than 0"),
        ("[{E: 1, nu: 0.3, k: 0}]", r"'phases\.0\.k' = 0 is not valid"),
        ("[{E: 1, nu: 0.5, k: 1}]", r"'phases\.0\.nu' = 0\.5 is not valid: .*less than 0\.5"),
        ("[{E: 1, nu: -1, k: 1}]", r"'phases\.0\.nu' = -1 is not valid"),
        ("[{E: .inf, nu: 0, k: 1}]", r"'phases\.0\.E' = inf is not valid"),
        (
            "[{E: 1, nu: 0.3, k: 1}, {E: 1, nu: 0.3}]",
            r"'phases\.1\.k' is not valid: phase 1 has no conductivity \(k\), but another",
        ),
        (
            "[{E: 1, nu: 0.3}, {k: 1}]",
            r"'phases\.1\.E' is not valid: phase 1 has no stiffness \(E and nu\), but another",
        ),
        ("[{E: 1, k: 1}]", r"'phases\.0' is not valid: E is given without nu; expected both"),
        ("[{nu: 0.3, k: 1}]", r"'phases\.0' is not valid: nu is given without E; expected both"),
        ("[{}]", r"'phases\.0' is not valid: is empty; expected E and nu, or k, or all three"),
        ("[{E: 1, nu: 0.3, k: 1, rho: 2}]", r"unknown key 'phases\.0\.rho'"),
        ("[]", "'phases' is not valid: Tuple should have at least 1 item"),
    ]:
        with subtests.test(phases=phases), pytest.raises(InputError, match=message):
            load_materials(written(tmp_path, f"phases: {phases}"))


def test_a_void_needs_no_poisson_ratio() -> None:
    short = Materials.model_validate({"phases": [{"E": 0, "k": 0}, {"E": 1, "nu": 0.3, "k": 1}]})
    full = Materials.model_validate({"phases": [{"E": 0, "nu": 0, "k": 0}, {"E": 1, "nu": 0.3, "k": 1}]})
    assert short.digest == full.digest
    assert short.voids("E") == short.voids("k") == [True, False]
    assert Materials.model_validate({"phases": ["quartz", {"E": "0 GPa", "k": "0.5 W/(m K)"}]}).voids("k") == [
        False,
        False,
    ]


def test_phases_of_one_physics() -> None:
    elastic = Materials.model_validate({"phases": [{"E": 1, "nu": 0.3}, {"E": 50, "nu": 0.3}]})
    conductive = Materials.model_validate({"phases": [{"k": 1}, {"k": 20}]})
    assert (elastic.has_stiffness, elastic.has_conductivity) == (True, False)
    assert (conductive.has_stiffness, conductive.has_conductivity) == (False, True)
    assert (elastic.contrast, conductive.contrast) == (pytest.approx(50), 20)
    assert elastic.isotropic
    assert conductive.isotropic
    assert not elastic.has_voids
    assert elastic.conductivities.shape == (0,)
    assert conductive.lame_moduli.shape == (0, 2)


def test_lame_moduli() -> None:
    lam, mu = lame(100, 0.3, "strain")
    assert (lam, mu) == pytest.approx((57.69230769, 38.46153846))
    assert lame(100, 0.3, "stress") == pytest.approx((2 * lam * mu / (lam + 2 * mu), mu))
    assert lame(100, 0.0, "stress") == lame(100, 0.0, "strain") == (0, 50)


def test_contrast_and_digest() -> None:
    phases = [{"E": 1, "nu": 0.3, "k": 4}, {"E": 10, "nu": 0.3, "k": 1}]
    materials = Materials.model_validate({"phases": phases})
    assert math.isclose(materials.contrast, 10)
    renamed = Materials.model_validate({"phases": phases, "units": {"E": "GPa"}})
    strain = Materials.model_validate({"phases": phases, "plane": "strain"})
    assert materials.digest == renamed.digest != strain.digest
    assert materials.lame_moduli.shape == (2, 2)
    np.testing.assert_array_equal(materials.conductivities, [4, 1])
