"""Representativeness with properties, and on the command line."""

import json
from pathlib import Path

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.physics.effective_properties import homogenize
from microdesign.physics.representativeness import representativeness, representativeness_table, write_figure

PHASES = [{"k": 1}, {"k": 10}]


def test_properties_are_those_of_mirrored_windows(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 2, (64, 64), dtype=np.uint8)
    np.save(tmp_path / "scan.npy", labels)
    (found,) = representativeness([tmp_path / "scan.npy"], PHASES)
    assert found["image"] == str(tmp_path / "scan.npy")
    windows = np.stack([labels[x : x + 32, y : y + 32] for x in (0, 32) for y in (0, 32)])
    expected = homogenize(windows, PHASES, boundary="mirror").kx
    quantity = found["sizes"][-1]["quantities"]["kx"]
    assert (quantity["mean"], quantity["std"]) == pytest.approx((expected.mean(), expected.std(ddof=1)), rel=1e-3)
    titles, lines = representativeness_table(found)
    assert [line[0] for line in lines] == ["fraction 1", "two-point 1", "kx", "ky"]
    assert all(len(line) == len(titles) for line in lines)
    assert json.loads(json.dumps(found)) == found
    write_figure([found, found], tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(InputError, match="expected a file with the suffix"):
        write_figure([found], tmp_path / "a.pdf")
    with pytest.raises(InputError, match=r"image: has 3 phases; the materials are 2"):
        representativeness(np.random.default_rng(0).integers(0, 3, (64, 64)), PHASES)
    with pytest.raises(InputError, match=r"image\[0\]: has 32 x 32 pixels"):
        representativeness(np.stack([labels[:32, :32]] * 2)[::-1])
