"""Effective-material cards: what they say is what was homogenized."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import microdesign as md
from microdesign.core.errors import InputError
from microdesign.export.calculix import read_stiffness
from tests.cases import case

PHASES: list[dict[str, Any]] = [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.2, "k": 10}]
LAYERS = (np.arange(4)[:, None, None] < 2).repeat(4, 1).repeat(4, 2).astype(np.uint8)
NOISE = (np.random.default_rng(0).random((5, 4, 4)) < 0.5).astype(np.uint8)


def cards(folder: Path, sample: Any, phases: Any = PHASES, **options: Any) -> tuple[dict[str, Any], dict[str, str]]:
    (done,) = md.export(sample, "card", folder, phases, **options)
    texts = {path.name.removeprefix("candidate-"): path.read_text() for path in done.files}
    return json.loads(texts.pop("card.json")), texts


def block(text: str, keyword: str) -> list[float]:
    after = text.split(keyword + "\n")[1].split("\n*")[0]
    return [float(value) for line in after.splitlines() if line for value in line.split(",")]


def test_the_tensors_are_those_of_the_volume(tmp_path: Path) -> None:
    document, texts = cards(tmp_path, NOISE, dims=3)
    wanted = md.homogenize(NOISE, PHASES, dims=3, tolerance=1e-5)
    np.testing.assert_allclose(document["stiffness"], wanted.stiffness, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(document["conductivity"], wanted.conductivity, rtol=1e-4, atol=1e-4)
    C, k = np.array(document["stiffness"]), np.array(document["conductivity"])
    first = [C[0, 0], C[0, 1], C[1, 1], C[0, 2], C[1, 2], C[2, 2]]
    assert block(texts["abaqus.inp"], "*ELASTIC, TYPE=ANISO")[:7] == pytest.approx([*first, C[0, 5]], rel=1e-6)
    assert block(texts["calculix.inp"], "*ELASTIC, TYPE=ANISO")[-1] == pytest.approx(C[3, 3], rel=1e-6)
    assert block(texts["abaqus.inp"], "TYPE=ANISO")[1] == pytest.approx(C[0, 1], rel=1e-6)
    assert block(texts["calculix.inp"], "*CONDUCTIVITY, TYPE=ANISO")[1] == pytest.approx(k[1, 1], rel=1e-6)
    assert block(texts["abaqus.inp"], "*CONDUCTIVITY, TYPE=ANISO")[1] == pytest.approx(k[0, 1], rel=1e-6)
    rows = [line.split(",") for line in texts["ansys.mac"].splitlines() if line.startswith("TBDATA")]
    assert float(rows[0][5]) == pytest.approx(C[0, 5], rel=1e-6)  # xy is Ansys's fourth component
    assert float(rows[-1][-1]) == pytest.approx(C[4, 4], rel=1e-6)  # and xz its last


def test_layers_are_orthotropic(tmp_path: Path) -> None:
    document, texts = cards(tmp_path, LAYERS, dims=3)
    c = document["engineering_constants"]
    found = block(texts["abaqus.inp"], "*ELASTIC, TYPE=ENGINEERING CONSTANTS")
    names = ("Ex", "Ey", "Ez", "vxy", "vxz", "vyz", "Gxy", "Gxz", "Gyz")
    assert found == pytest.approx([c[name] for name in names], rel=1e-6)
    assert c["Ey"] == pytest.approx(c["Ez"])
    assert c["Gyz"] == pytest.approx((1 / 2.6 + 10 / 2.4) / 2, rel=1e-5)  # along the layers: Voigt
    assert c["Gxy"] == pytest.approx(2 / (2.6 + 0.24), rel=1e-5)  # across: Reuss
    assert block(texts["calculix.inp"], "*CONDUCTIVITY, TYPE=ORTHO") == pytest.approx([2 / 1.1, 5.5, 5.5], rel=1e-4)
    assert f"MP,PRXY,1,{c['vxy']:.9g}" in texts["ansys.mac"]
    row = texts["lsdyna.k"].split("_ELASTIC_TITLE\n")[1].splitlines()[1].split(",")
    # LS-DYNA's vba is the contraction along a under a stress along b.
    assert float(row[5]) == pytest.approx(c["vxy"] * c["Ey"] / c["Ex"], rel=1e-6)


def test_images_are_sheets_or_long_bodies(tmp_path: Path) -> None:
    image = LAYERS[:, :, 0]
    for plane, kind in (("stress", "thin sheet"), ("strain", "long body")):
        with case(plane=plane):
            document, _ = cards(tmp_path / plane, image, {"plane": plane, "phases": PHASES})
            assert document["kind"] == kind
            sheet = md.homogenize(image, PHASES, plane=plane)
            C, index = np.array(document["stiffness"]), [0, 1, 5]
            if plane == "stress":  # the constants of the sheet itself, from its compliance
                C = np.linalg.inv(np.linalg.inv(C)[np.ix_(index, index)])
                index = [0, 1, 2]
                assert document["engineering_constants"]["Ex"] == pytest.approx(sheet.Ex, rel=1e-3)
            np.testing.assert_allclose(C[np.ix_(index, index)], sheet.stiffness, rtol=1e-3, atol=1e-3)
            assert document["engineering_constants"]["Gyz"] == pytest.approx((1 / 2.6 + 10 / 2.4) / 2, rel=1e-4)


def test_a_solid_in_pieces_has_no_card(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not hang together"):
        cards(tmp_path, LAYERS, [{"E": 0}, {"E": 1, "nu": 0.3}], dims=3)


@pytest.mark.skipif(shutil.which("ccx") is None, reason="CalculiX is not installed (Debian: calculix-ccx)")
def test_calculix_reads_its_card(tmp_path: Path) -> None:
    """One element of the effective material answers as the microstructure does."""
    one = np.zeros((1, 1, 1), np.uint8)
    for name, sample in (("whole tensor", NOISE), ("engineering constants", LAYERS)):
        with case(name=name):
            document, texts = cards(tmp_path / name, sample, dims=3)
            (done,) = md.export(one, "inp", tmp_path / name, [{"E": 1, "nu": 0.3}], dims=3)
            deck = done.files[0]
            title = texts["calculix.inp"].split("*MATERIAL, NAME=")[1].split("\n")[0]
            card = texts["calculix.inp"].replace(title, "PHASE_0")
            deck.write_text(deck.read_text().replace("*MATERIAL, NAME=PHASE_0\n*ELASTIC\n1, 0.3\n", card))
            subprocess.run(["ccx", deck.stem], cwd=deck.parent, check=True, capture_output=True, timeout=60)
            found = read_stiffness(deck.with_suffix(".dat"), (1, 1, 1))
            np.testing.assert_allclose(found, document["stiffness"], atol=2e-5 * np.max(document["stiffness"]))
