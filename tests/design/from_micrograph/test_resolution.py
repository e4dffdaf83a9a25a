"""What is said of a micrograph whose pixels do not resolve it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from microdesign.core.config import validate_config
from microdesign.design.from_micrograph.config import MicrographConfig
from microdesign.design.from_micrograph.preparation import Prepared, prepare
from microdesign.design.from_micrograph.resolution import own_values, second_values, tell_resolution
from microdesign.design.target.like_with_like import OwnValue
from microdesign.physics.effective_properties import homogenize
from microdesign.physics.execution.store import ResultStore
from microdesign.physics.materials import Materials

PHASES = {"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.3, "k": 10}]}


def prepared(folder: Path, labels: np.ndarray, target: dict[str, Any], phases: Any = PHASES) -> Prepared:
    np.save(folder / "a.npy", labels.astype(np.uint8))
    values = {"micrograph": str(folder / "a.npy"), "materials": phases, "target": target, "folder": str(folder / "run")}
    return prepare(validate_config(MicrographConfig, values, "the test's settings"))


def told(folder: Path, labels: np.ndarray, ex: str | float) -> tuple[list[str], dict[str, OwnValue]]:
    start = prepared(folder, labels, {"Ex": ex, "kx": {"equals": "match", "tolerance": 0.5}})
    materials, store = validate_config(Materials, PHASES, "phases"), ResultStore(folder / "results")
    lines: list[str] = []
    second = second_values(start, materials, store)
    own = own_values(start, second, materials, store, lines.append)
    tell_resolution(start, second, tuple(own), lines.append)
    return lines, own


def test_only_what_is_not_resolved_is_told(tmp_path: Path) -> None:
    """Layers along an axis are exact by both discretizations; parts of one pixel are not."""
    lines, own = told(tmp_path, np.tile(np.arange(48) % 8 < 4, (48, 1)), "1.1x")
    assert lines == []
    assert vars(own["Ex"]) == pytest.approx(dict.fromkeys(OwnValue.model_fields, own["Ex"].first), rel=1e-3)
    specks = np.random.default_rng(0).random((48, 48)) < 0.4
    (relative,), own = told(tmp_path, specks, "1.1x")  # kx has a tolerance that is wide enough
    (absolute,), as_number = told(tmp_path, specks, 3.0)
    assert set(as_number) == {"kx"}
    values = [
        homogenize(labels.astype(np.uint8), PHASES, boundary="mirror", discretization=name).Ex
        for labels in (specks, specks.repeat(2, 0).repeat(2, 1))
        for name in ("q1", "rotated")
    ]
    assert list(vars(own["Ex"]).values()) == pytest.approx(values, rel=1e-3)
    for line in (relative, absolute):
        assert "its Ex is {:.4g} by one discretization and {:.4g} by another".format(*values) in line
    assert "compared with it by both" in relative
    assert "within 5.0% by both" in absolute


def test_what_has_no_ratio_is_judged_as_a_number(tmp_path: Path) -> None:
    """A Poisson's ratio may be negative, and `plus` asks for a difference."""
    specks = np.random.default_rng(0).random((48, 48)) < 0.4
    start = prepared(tmp_path, specks, {"vxy": "1.1x", "Ex": {"plus": 0.1}, "kx": "1.1x"})
    assert start.relative == ("vxy", "kx")
    materials, store = validate_config(Materials, PHASES, "phases"), ResultStore(tmp_path / "results")
    lines: list[str] = []
    own = own_values(start, second_values(start, materials, store), materials, store, lines.append)
    assert set(own) == {"kx"}
    assert [line.partition(":")[0] for line in lines] == ["vxy"]
