"""A loss, a refiner and a property come from a module of a user's own; no file of the package is touched."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from microdesign.core.config import validate_config
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.search.refiners.protocol import load_refiner
from microdesign.learning.training.config.loop_config import LoopConfig
from microdesign.model.objective import Objective
from tests.design.search.refiners.problem import request, start
from tests.test_docs import blocks

Write = Callable[[str, str], str]


def shown(name: str) -> str:
    """The module of the documentation that defines `name`."""
    (text,) = [text for _, _, text in blocks("python") if f"def {name}(" in text or f"class {name}" in text]
    return text


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a module that can be imported, and returns its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, text: str) -> str:
        (tmp_path / f"{name}.py").write_text(text)
        return name

    return write


def test_a_loss(module: Write) -> None:
    own = f"{module('own_loss', shown('dice'))}:dice"
    loop = validate_config(LoopConfig, {"objective": {"loss": f"mse+{own}", "weights": {own: 0.5}}}, "the loop")
    weight, loss = Objective(loop.objective).losses[own]
    target = torch.zeros(2, 1, 8, 8)
    target[:, :, :4] = 1
    assert weight == 0.5
    assert loss(20 * (2 * target - 1), target) == pytest.approx(torch.zeros(2), abs=1e-6)
    assert loss(-20 * (2 * target - 1), target) == pytest.approx(torch.ones(2), abs=1e-6)


def test_a_refiner(module: Write) -> None:
    own = f"{module('own_refiner', shown('best_again'))}:best_again"
    config = validate_config(CampaignConfig, {"target": {"properties": {"Ex": 2}}, "refiner": own}, "the campaign")
    designs = load_refiner(config.refiner)(request(start(), 4, seed=1))
    assert len(designs) >= 4
    assert np.isfinite(designs.predicted).all()


def test_a_property(module: Write, tmp_path: Path) -> None:
    """In a process of its own: the catalogue is that of the process."""
    name = module("own_property", shown("ratio"))
    code = (
        f"import {name}, numpy as np, microdesign as md\n"
        "layers = np.repeat([[0], [1]], 8, axis=0).repeat(16, axis=1)\n"
        "result = md.homogenize(layers, [{'E': 1, 'nu': 0.3, 'k': 1}, {'E': 3, 'nu': 0.3, 'k': 3}])\n"
        "print(round(result.rxy, 3), 'rxy' in md.label(layers[None], result.materials).properties)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stdout == "0.75 True\n", done.stderr
