"""Names of phases and values with units, as a user writes them."""

from pathlib import Path

import numpy as np
import pytest

from microdesign.core.config import validate_config
from microdesign.core.errors import InputError
from microdesign.physics.effective_properties import homogenize, phases_from
from microdesign.physics.materials import Materials, load_materials

STRIPES = np.repeat([[0], [1]], 4, axis=0).repeat(8, axis=1)


def moduli(phases: list, **others: object) -> list[tuple[float | None, ...]]:
    return [(each.E, each.nu, each.k) for each in validate_config(Materials, {"phases": phases, **others}, "m").phases]


def test_names_and_overrides() -> None:
    assert moduli(["aluminium", {"name": "silicon carbide"}, "pore"]) == [
        (70.3, 0.345, 237),
        (415, 0.16, 114),
        (0, 0, 0),
    ]
    assert moduli([{"name": "aluminium", "E": "69 GPa", "nu": 0.33}, "pore"])[0] == (69, 0.33, 237)
    assert moduli([{"name": "aluminium", "k": "2 W/cm/K"}])[0] == (7.03e1, 0.345, 2)
    # What only the library knows is left out; what a phase states has to be stated by all.
    assert moduli([{"E": "3 GPa", "nu": 0.4}, "alumina"]) == [(3, 0.4, None), (416, 0.231, None)]
    assert moduli([{"k": 2}, "pore"]) == [(None, None, 2), (None, None, 0)]
    assert moduli([{"E": 2, "nu": 0.3}, "pore"]) == [(2, 0.3, None), (0, 0, None)]


def test_units() -> None:
    GPa = validate_config(Materials, {"phases": ["aluminium", "pore"]}, "m")
    assert (GPa.units.E, GPa.units.k) == ("GPa", "W/(m K)")
    MPa = validate_config(Materials, {"phases": [{"E": "3350 MPa", "nu": 0.35}, "aluminium"]}, "m")
    assert ([each.E for each in MPa.phases], MPa.units.E) == ([3350, 70300], "MPa")
    stated = validate_config(
        Materials, {"phases": [{"E": 3, "nu": 0.35}, {"E": "70000 MPa", "nu": 0.3}], "units": {"E": "GPa"}}, "m"
    )
    assert [each.E for each in stated.phases] == [3, 70]
    # Numbers alone are never touched, whatever their unit is called.
    own = validate_config(Materials, {"phases": [{"k": 1}, {"k": "1e3"}], "units": {"k": "W/mK"}}, "m")
    assert ([each.k for each in own.phases], own.units.k) == ([1, 1000], "W/mK")
    # A record of materials reads back as they are.
    for materials in (GPa, MPa, stated, own):
        assert Materials.model_validate(materials.model_dump(mode="json")) == materials
    numbers = Materials(phases=[{"E": 70.3, "nu": 0.345, "k": 237}, {"E": 0, "nu": 0, "k": 0}])
    assert GPa.tensor_digest == numbers.tensor_digest


def test_crystals_are_turned_beside_their_name() -> None:
    materials = Materials(phases=["copper crystal", {"name": "copper crystal", "angle": 45}])
    straight, turned = materials.stiffness_tensors(3)
    assert straight[0, 0] == 168.4
    # C11 along <110>: (C11 + C12) / 2 + C44
    assert turned[0, 0] == pytest.approx((168.4 + 121.4) / 2 + 75.4)
    assert materials.units.E == "GPa"
    assert Materials(phases=["copper crystal"], units={"E": "MPa"}).stiffness_tensors(3)[0, 0, 0] == pytest.approx(
        168400
    )


MISTAKES = {
    "the library has no phase 'alumnium'; did you mean 'aluminium'": ["alumnium", "pore"],
    r"'phases.0.E' = '70 GPs' is not valid: the unit 'GPs' is not known": [{"E": "70 GPs", "nu": 0.3}],
    r"'phases.0.k' = '237 W/mK' is not valid: the unit 'W/mK' cannot be converted": [
        {"k": "237 W/mK"}, {"k": "1 W/(m K)"},
    ],
    r"'phases.1.E' = 3 is not valid: it has no unit, but another phase's value has one; add it, or state units: {E": [
        "aluminium", {"E": 3, "nu": 0.3, "k": "1 W/(m K)"},
    ],
    r"'phases.0.E' = 'soft' is not valid": [{"E": "soft", "nu": 0.3}],
    r"'phases.1.stiffness'": ["aluminium", {"stiffness": np.eye(6).tolist(), "k": "1 W/(m K)"}],
    r"phase 1 has no conductivity \(k\)": [{"name": "aluminium", "k": "200 W/(m K)"}, {"E": "1 GPa", "nu": 0.3}],
}  # fmt: skip


def test_mistakes() -> None:
    for message, phases in MISTAKES.items():
        with pytest.raises(InputError, match=f"^the phases: .*{message}"):
            phases_from(phases)
    with pytest.raises(InputError, match=r"units.E = 'stone' is no unit that the library's GPa can be converted to"):
        phases_from(["aluminium"], units={"E": "stone"})


def test_everywhere_a_materials_file_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("phases: [aluminium, {name: silicon carbide, k: 120 W/(m K)}]\nunits: {E: MPa}\n")
    materials = load_materials(path, ["plane=strain"])
    assert (materials.phases[0].E, materials.phases[1].k, materials.plane) == (70300, 120, "strain")
    assert load_materials("aluminium, SiC").phases[1].E == 415
    for text in ("aluminium,pure", "missing"):
        with pytest.raises(InputError, match=f"^{text}: is neither a YAML file nor names of phases: .*no phase"):
            load_materials(text)
    with pytest.raises(InputError, match=r"missing\.yaml: cannot be read"):
        load_materials("missing.yaml")


def test_homogenize_by_names() -> None:
    result = homogenize(STRIPES, ["aluminium", "silicon carbide"])
    assert result.ky == pytest.approx((237 + 114) / 2)
    assert result.units["ky"] == "W/(m K)"
    assert "[GPa]" in repr(result)
    # Layers with pores between them carry along them alone.
    assert homogenize(STRIPES, [{"k": "237 W/(m K)"}, "pore"]).conductivity[1, 1] == pytest.approx(237 / 2)
