"""`microdesign materials`, and names of its phases in place of a materials file."""

import json

import pytest

from microdesign.physics.phase_library import library
from tests.cli.conftest import Command, golden_image, refused


def test_list_and_show(command: Command) -> None:
    table = command("materials", "list").out
    assert all(name in table for name in library())
    assert set(json.loads(command("materials", "list", "--json").out)) == set(library())
    shown = command("materials", "show", "SiC").out
    assert "phase: silicon carbide" in shown
    assert "E: 415 GPa (Munro" in shown
    values = json.loads(command("materials", "show", "copper crystal", "--json").out)["values"]
    assert values["C11"] == {"value": 168.4, "unit": "GPa", "source": values["C44"]["source"]}
    refused(command("materials", "show", "alumnium"), "no phase 'alumnium'; did you mean 'aluminium'?")


def test_names_in_place_of_a_file(command: Command) -> None:
    golden_image()
    (entry,) = json.loads(command("homogenize", "golden.npy", "--materials", "aluminium,silicon carbide", "--json").out)
    assert entry["units"] == {"E": "GPa", "k": "W/(m K)", "density": "kg/m3"}
    low, high = entry["properties"]["kx"], entry["properties"]["ky"]
    assert 114 < low < 237
    assert high == pytest.approx(low, rel=0.2)
    refused(command("homogenize", "golden.npy", "--materials", "aluminium,pure"), "aluminium,pure", "no phase 'pure'")
