"""What is said of a micrograph whose pixels do not resolve it."""

from pathlib import Path

import numpy as np

from microdesign.core.config import validate_config
from microdesign.design.from_micrograph.config import MicrographConfig
from microdesign.design.from_micrograph.preparation import prepare
from microdesign.design.from_micrograph.resolution import tell_resolution
from microdesign.physics.effective_properties import homogenize

PHASES = {"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.3, "k": 10}]}


def said(folder: Path, labels: np.ndarray) -> list[str]:
    np.save(folder / "a.npy", labels.astype(np.uint8))
    target = {"Ex": "1.1x", "kx": {"equals": "match", "tolerance": 0.5}}
    values = {"micrograph": str(folder / "a.npy"), "materials": PHASES, "target": target, "folder": str(folder / "run")}
    config = validate_config(MicrographConfig, values, "the test's settings")
    lines: list[str] = []
    tell_resolution(prepare(config), config.materials, lines.append)
    return lines


def test_only_what_is_not_resolved_is_told(tmp_path: Path) -> None:
    """Layers along an axis are exact by both discretizations; parts of one pixel are not."""
    assert said(tmp_path, np.tile(np.arange(48) % 8 < 4, (48, 1))) == []
    specks = np.random.default_rng(0).random((48, 48)) < 0.4
    (line,) = said(tmp_path, specks)  # kx has a tolerance that is wide enough
    values = [
        homogenize(specks.astype(np.uint8), PHASES, boundary="mirror", discretization=name).Ex
        for name in ("q1", "rotated")
    ]
    assert "its Ex is {:.4g} by one discretization and {:.4g} by another".format(*values) in line
    assert "within 5.0% by both" in line
