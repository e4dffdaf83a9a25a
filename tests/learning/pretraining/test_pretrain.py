"""Pretraining: batches, a state from which it goes on, and a bundle that training starts from."""

import copy
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import microdesign as md
from microdesign.core.config import validate_config
from microdesign.core.errors import InputError
from microdesign.core.progress import Recorded
from microdesign.learning.pretraining.config import PretrainConfig, SourceConfig
from microdesign.learning.pretraining.loop import GRADIENT, Pretraining, initial_model
from microdesign.learning.pretraining.pretrain import pretrain
from microdesign.learning.pretraining.sources import Batches
from microdesign.learning.training.loop import State
from microdesign.microstructure.data.indicators import indicators
from microdesign.model.bundle import load_bundle
from microdesign.model.pretrained import start_bundle
from tests.mlflow_database import database

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


def test_batches_follow_from_seed_and_number(images: Path) -> None:
    sources = config(images).sources
    batches = Batches(sources, 8 * 48**2, 0.5, seed=0)
    seen = {True: 0, False: 0}
    for step in range(30):
        x, periodic = batches.batch(step)
        assert x.shape == ((8, 1, 48, 48) if periodic else (18, 1, 32, 32))
        assert set(x.unique().tolist()) <= {0.0, 1.0}
        seen[periodic] += 1
        assert torch.equal(x, Batches(sources, 8 * 48**2, 0.5, seed=0).batch(step)[0])
    assert seen[False] > seen[True] > 0


def test_weights_of_two_phases_start_more() -> None:
    """An image of phases 0 and 2 alone is to the new model what one of phases 0 and 1 is to the old."""
    sources = [{"dataset": "none"}]
    values = {"sources": sources, "network": {"phases": 3, "decoder": "local_global"}, "start": "pretrained"}
    more = initial_model(validate_config(PretrainConfig, values, "the test's settings"))
    two = start_bundle("pretrained").model
    labels = torch.from_numpy(md.generate("GRF", 4, (64, 64)).labels)
    with torch.inference_mode():
        x, many = indicators(labels, 2), indicators(2 * labels, 3)
        for old, new in zip(two.trunk(x), more.trunk(many), strict=True):
            torch.testing.assert_close(new, old, rtol=1e-3, atol=1e-3)
        z, t = torch.zeros(4, 32), torch.full((4,), 0.6)
        given = two.decoder.denoiser(2 * x - 1, t, z)
        # The one that was absent would be in the middle: for the others its channel makes no difference.
        seen = more.decoder.denoiser(2 * many - 1, t, z)
        torch.testing.assert_close(seen[:, 2:] - seen[:, :1], given, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(seen[:, 1:2], torch.zeros_like(given), rtol=0, atol=1e-3)


def test_weights_of_images_start_volumes() -> None:
    """A volume that is one image all along its first axis is to the new model what the image is to the old."""
    network = {"dimensions": 3, "size": 32, "decoder": "local_global"}
    values = {"sources": [{"dataset": "none"}], "network": network, "start": "pretrained"}
    volumes = initial_model(validate_config(PretrainConfig, values, "the test's settings"))
    images = start_bundle("pretrained").model
    labels = torch.from_numpy(md.generate("GRF", 2, (32, 32)).labels)
    with torch.inference_mode():
        x = indicators(labels, 2)
        extruded = x.unsqueeze(2).expand(-1, -1, 32, -1, -1)
        for old, new in zip(images.trunk(x), volumes.trunk(extruded), strict=True):
            torch.testing.assert_close(new, old.unsqueeze(2).expand_as(new), rtol=1e-3, atol=1e-3)
        z, t = torch.randn(2, 32), torch.full((2,), 0.6)
        given = images.decoder.denoiser(2 * x - 1, t, z)
        seen = volumes.decoder.denoiser(2 * extruded - 1, t, z)
        torch.testing.assert_close(seen, given.unsqueeze(2).expand_as(seen), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("other", [{"depth": 2}, {"phases": 3}, {"latent": 8}])
def test_other_networks_for_volumes_do_not_start_from_images(other: dict[str, Any]) -> None:
    network = {"dimensions": 3, "size": 32, "decoder": "local_global"} | other
    values = {"sources": [{"dataset": "none"}], "network": network, "start": "pretrained"}
    with pytest.raises(InputError, match="start: pretrained is of another architecture"):
        initial_model(validate_config(PretrainConfig, values, "the test's settings"))


def test_batches_of_many_phases(tmp_path: Path) -> None:
    folder = md.write(tmp_path / "many", md.generate("Polycrystal", 20, (32, 32), n_phases=3))
    x, _ = Batches(config(folder, sources=[{"dataset": str(folder)}]).sources, 4 * 32**2, 0.5, seed=0, phases=3).batch(
        0
    )
    assert x.shape == (4, 3, 32, 32)
    assert torch.equal(x.sum(1), torch.ones(4, 32, 32))


def test_volumes_are_turned_about_all_axes(tmp_path: Path) -> None:
    """A slab across z lies across every axis in some batch, and has the same volume in all of them."""
    slab = np.zeros((4, 32, 32, 32), np.uint8)
    slab[..., :8] = 1
    folder = md.write(tmp_path / "slabs", md.Microstructures(labels=slab, n_phases=2))
    sources = [{"dataset": str(folder)}, {"dataset": str(folder), "window": 32}]
    batches = Batches(config(folder, sources=sources).sources, 2 * 32**3, 0.0, seed=0, dims=3)
    across = set()
    for step in range(24):
        x, _ = batches.batch(step)
        assert x.shape == (2, 1, 32, 32, 32)
        assert x.is_contiguous(memory_format=torch.channels_last_3d)
        assert x.flatten(1).mean(1).tolist() == [0.25, 0.25]
        across |= {axis for axis in (2, 3, 4) if (x.select(axis, 0) - x.select(axis, 16)).abs().amax() > 0}
    assert across == {2, 3, 4}
    with pytest.raises(InputError, match="holds no square images"):
        Batches(config(folder, sources=sources[:1]).sources, 2 * 32**3, 0.0, seed=0)


def test_a_network_of_volumes_learns(tmp_path: Path) -> None:
    folder = md.write(tmp_path / "volumes", md.generate("GRF", 6, (32, 32, 32)))
    network = NETWORK | {"dimensions": 3, "denoiser": {"width": 8, "depth": 1}}
    sources = [{"dataset": str(folder)}]
    run = loop(config(folder, sources=sources, network=network, pixels=2 * 32**3, warmup=1))
    losses = []
    for _ in range(12):
        run.batches.seed = run.step = 0  # the same volumes, times and noise in every step
        run._take_step()
        losses.append(run.means["denoising"])
        run.means.clear()
    assert losses[-1] < 0.95 * losses[0]


def loop(config: PretrainConfig) -> Pretraining:
    return Pretraining(config, initial_model(config))


def test_a_state_goes_on_to_the_same_weights(images: Path) -> None:
    """Four steps at once, or two, a state and two more."""

    class Clock(Pretraining):
        """Takes a second a step: the time that is over is the number of steps."""

        def _agreed(self, seconds: float) -> float:
            return float(self.step)

    def run(seconds: int, state: State | None) -> State:
        settings = config(images, minutes=seconds / 60, decay_minutes=0)
        clock, states = Clock(settings, initial_model(settings)), list[State]()
        if state is not None:
            clock.load(state)
        clock.run(lambda save: states.append(copy.deepcopy(save())))
        assert states[-1]["step"] == seconds
        return states[-1]

    whole, parts = run(4, None), run(4, run(2, None))
    for kind in ("model", "average"):
        assert all(torch.equal(each, parts[kind][name]) for name, each in whole[kind].items())
    assert whole["means"] == parts["means"]
    assert not all(torch.equal(each, whole["average"][name]) for name, each in whole["model"].items())


def test_an_outlier_is_left_out(images: Path) -> None:
    settings = config(images, minutes=1 / 60)
    run = loop(settings)
    run.means[GRADIENT] = 1e-9  # next to which every batch is one
    before = {name: each.clone() for name, each in run.model.state_dict().items()}
    run._take_step()
    assert all(torch.equal(each, before[name]) for name, each in run.model.state_dict().items())
    assert set(run.means) == {GRADIENT}
    assert run.means[GRADIENT] > 1e-9


@pytest.mark.ray
def test_two_workers_learn_and_one_goes_on(images: Path, tmp_path: Path, local_ray: None) -> None:
    uri = database(tmp_path)
    small = md.write(tmp_path / "small", md.generate("GRF", 20, (32, 32)))
    sources = [{"dataset": str(images), "window": 32}, {"dataset": str(small)}]
    settings = config(images, sources=sources, out=str(tmp_path / "made"), resources={"workers": 2})
    told, start = Recorded(), time.monotonic()
    folder = pretrain(settings, told, uri)
    spent = time.monotonic() - start  # a step on a busy machine may take more than the minutes of the settings
    assert told.counts[-1] == (3, 3, "s")
    first = load_bundle(folder)
    assert first.properties == ()
    assert first.description.several_resolutions  # images of 48 and of 32 pixels
    assert all(each.isfinite().all() for each in first.model.state_dict().values())
    with pytest.raises(InputError, match="is the folder of other settings"):
        pretrain(settings.model_copy(update={"seed": 1}), tracking_uri=uri)
    resources = {"workers": 1}
    more = config(images, sources=sources, out=str(tmp_path / "made"), resources=resources, minutes=(spent + 3) / 60)
    assert pretrain(more, tracking_uri=uri) == folder
    assert load_bundle(folder).digest != first.digest
    drawn = md.draw(str(folder), like=np.eye(32, dtype=np.uint8), size=64)
    assert drawn.labels.shape == (1, 64, 64)


@pytest.mark.ray
def test_what_cannot_be_pretrained(images: Path, tmp_path: Path, local_ray: None) -> None:
    many = md.write(tmp_path / "many", md.generate("Polycrystal", 20, (32, 32), n_phases=3))
    for changes, message in (
        ({"sources": [{"dataset": str(many)}]}, "holds no square images of 2 phases"),
        ({"sources": [{"dataset": str(images), "window": 64}]}, "has images of 48 pixels; expected 64 or more"),
        ({"network": NETWORK | {"decoder": "random_field"}}, "The decoder random_field has no denoiser"),
        ({"start": str(tmp_path / "nowhere")}, "is no model bundle"),
        ({"start": "pretrained"}, "start: pretrained is of another architecture"),
    ):
        with pytest.raises(InputError, match=message):
            pretrain(config(images, out=str(tmp_path / "out"), **changes))
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match=r"window"):
        validate_config(SourceConfig, {"dataset": "x", "window": 40}, "the source")
