"""Pretraining: batches, a state from which it goes on, and a bundle that training starts from."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import microdesign as md
from microdesign.core.config import validate_config
from microdesign.core.errors import InputError
from microdesign.learning.pretraining.config import PretrainConfig, SourceConfig
from microdesign.learning.pretraining.pretrain import pretrain
from microdesign.learning.pretraining.sources import Batches
from microdesign.model.bundle import load_bundle

NETWORK = {"size": 32, "widths": [8, 8], "latent": 4, "hidden": 16, "decoder": "local_global"}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return md.write(tmp_path_factory.mktemp("images") / "grf", md.generate("GRF", 40, (48, 48)))


def config(images: Path, **changes: Any) -> PretrainConfig:
    values = {
        "sources": [{"dataset": str(images)}, {"dataset": str(images), "window": 32, "share": 2}],
        "network": NETWORK | {"denoiser": {"width": 8, "depth": 1}},
        "minutes": 0.05,
        "decay_minutes": 0.02,
        "pixels": 8 * 48**2,
    }
    return validate_config(PretrainConfig, values | changes, "the test's settings")


def test_batches_follow_from_seed_and_step(images: Path) -> None:
    sources = config(images).sources
    batches = Batches(sources, 8 * 48**2, 0.5, seed=0)
    seen = {True: 0, False: 0}
    for step in range(30):
        x, periodic = batches.step(step)
        assert x.shape == ((8, 1, 48, 48) if periodic else (18, 1, 32, 32))
        assert set(x.unique().tolist()) <= {0.0, 1.0}
        seen[periodic] += 1
        assert torch.equal(x, Batches(sources, 8 * 48**2, 0.5, seed=0).step(step)[0])
    assert seen[False] > seen[True] > 0


def test_a_run_goes_on_and_its_bundle_loads(images: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    settings = config(images, out=str(tmp_path / "made"))
    folder = pretrain(settings, lines.append)
    state = torch.load(tmp_path / "made.state", weights_only=True)
    assert state["step"] > 0
    bundle = load_bundle(folder)
    assert bundle.properties == ()
    assert all(each.isfinite().all() for each in bundle.model.state_dict().values())
    # The same command finds nothing left to do; more time goes on from there.
    pretrain(settings)
    assert torch.load(tmp_path / "made.state", weights_only=True)["step"] == state["step"]
    pretrain(settings.model_copy(update={"minutes": 0.08}))
    assert torch.load(tmp_path / "made.state", weights_only=True)["step"] > state["step"]
    with pytest.raises(InputError, match="is the state of other settings"):
        pretrain(settings.model_copy(update={"seed": 1}))
    drawn = md.draw(str(folder), like=np.eye(32, dtype=np.uint8), size=64)
    assert drawn.labels.shape == (1, 64, 64)


def test_what_cannot_be_pretrained(images: Path, tmp_path: Path) -> None:
    many = md.write(tmp_path / "many", md.generate("Polycrystal", 20, (32, 32), n_phases=3))
    for changes, message in (
        ({"sources": [{"dataset": str(many)}]}, "holds no square images of two phases"),
        ({"sources": [{"dataset": str(images), "window": 64}]}, "has images of 48 pixels; expected 64 or more"),
        ({"network": NETWORK | {"decoder": "random_field"}}, "The decoder random_field has no denoiser"),
        ({"start": str(tmp_path / "nowhere")}, "is no model bundle"),
        ({"start": "pretrained"}, "start: pretrained is of another architecture"),
    ):
        with pytest.raises(InputError, match=message):
            pretrain(config(images, out=str(tmp_path / "out"), **changes))
    assert not (tmp_path / "out").exists()
    (tmp_path / "damaged.state").write_bytes(b"no state")
    with pytest.raises(InputError, match="is no training state, or damaged"):
        pretrain(config(images, out=str(tmp_path / "damaged")))
    with pytest.raises(InputError, match=r"window"):
        validate_config(SourceConfig, {"dataset": "x", "window": 40}, "the source")
