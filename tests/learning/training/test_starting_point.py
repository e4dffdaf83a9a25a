"""A finished model as the start of a training on other data: what its weights become there."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from microdesign.core.errors import InputError
from microdesign.learning.training.config.train_config import TrainConfig
from microdesign.learning.training.starting_point import initial_model, resolve_padding, resolve_start
from microdesign.microstructure.data.manifest import DatasetManifest, Shard
from microdesign.model.bundle import Bundle, Description, save_bundle
from microdesign.model.model_config import ModelConfig
from microdesign.model.standardization import Standardization
from microdesign.model.vae import VAERegression
from microdesign.surrogate.local import LocalSurrogate

NAMES = ("Ex", "vxy")
PHASES = {"phases": [{"E": 1, "nu": 0.3}, {"E": 10, "nu": 0.3}]}
STIFFER = {"phases": [{"E": 1, "nu": 0.3}, {"E": 100, "nu": 0.3}]}
OLD = Standardization(names=NAMES, units=("1", "1"), offsets=(1.3, 0.3), scales=(0.5, 0.02))
NEW = Standardization(names=NAMES, units=("1", "1"), offsets=(2.1, 0.28), scales=(0.8, 0.03))
MODEL: dict[str, Any] = {"network": {"size": 16, "widths": [8, 8], "latent": 4, "hidden": 16}}


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    torch.manual_seed(0)
    config = ModelConfig.model_validate(MODEL)
    description = Description(model=config, standardization=OLD, materials=PHASES)
    return save_bundle(tmp_path / "bundle", VAERegression(config, 2).eval(), description)


def started(folder: Path, new: Standardization, materials: Any) -> LocalSurrogate:
    config = TrainConfig.model_validate(
        {"dataset": "", "properties": NAMES, "start": str(folder / "bundle"), "loop": {"model": MODEL}}
    )
    model = initial_model(config, new, materials).eval()
    return LocalSurrogate(Bundle(model, Description(model=config.loop.model, standardization=new)))


def test_a_start_on_the_same_data_changes_nothing(bundle: Bundle, tmp_path: Path) -> None:
    model = started(tmp_path, OLD, PHASES).bundle.model
    for name, weight in bundle.model.state_dict().items():
        assert torch.equal(weight, model.state_dict()[name]), name


def test_of_the_same_materials_it_predicts_and_answers_as_before(bundle: Bundle, tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 2, (6, 16, 16)).astype(np.uint8)
    before, after = LocalSurrogate(bundle), started(tmp_path, NEW, PHASES)
    for found, expected in zip(after.predict(labels), before.predict(labels), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    target = {"Ex": 4.0, "vxy": 0.31}
    for part in ("weights", "mean", "std"):
        found, expected = (getattr(each.prior(target), part) for each in (after, before))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5, err_msg=part)


def test_of_other_or_unknown_materials_its_standardised_predictions_stay(bundle: Bundle, tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 2, (6, 16, 16)).astype(np.uint8)
    expected = OLD.forward(LocalSurrogate(bundle).predict(labels)[0])
    for materials in (STIFFER, None):
        found = NEW.forward(started(tmp_path, NEW, materials).predict(labels)[0])
        np.testing.assert_allclose(found, expected, atol=1e-5)


def images_alone(folder: Path, **network: Any) -> Bundle:
    """A model of images, without properties."""
    torch.manual_seed(5)
    model = {"network": MODEL["network"] | network, "prior": {"kind": "standard"}}
    config = ModelConfig.model_validate(model)
    none = Standardization(names=(), units=(), offsets=(), scales=())
    return save_bundle(
        folder / "bundle", VAERegression(config, 0).eval(), Description(model=config, standardization=none)
    )


def test_a_model_of_images_gives_encoder_and_decoder(tmp_path: Path) -> None:
    given = images_alone(tmp_path).model.state_dict()
    model = started(tmp_path, NEW, PHASES).bundle.model.state_dict()
    for name, weight in given.items():
        if not name.startswith("prior."):
            assert torch.equal(weight, model[name]), name
    assert {name for name in model if name.startswith("property_head.")}


def test_another_architecture_is_named(tmp_path: Path) -> None:
    images_alone(tmp_path, latent=8)
    with pytest.raises(InputError, match=r"is of another architecture \(latent 4, there 8\)"):
        started(tmp_path, NEW, PHASES)


def test_the_pretrained_weights_are_taken_where_they_fit() -> None:
    for network, reason in (
        ({}, ""),
        ({"size": 128}, ""),
        ({"regressor": "own"}, ""),
        ({"denoiser": {"steps": 3}}, ""),
        ({"phases": 3}, "phases 3, there 2"),
        ({"latent": 8, "decoder": "local_global"}, "latent 8, there 32"),
        ({"denoiser": {"width": 32}}, "denoiser.width 32, there 64"),
    ):
        config = TrainConfig.model_validate({"dataset": "", "loop": {"model": {"network": network}}})
        resolved, why = resolve_start(config)
        assert (resolved.start, reason in why) == ("pretrained" if not reason else None, True), network
    volumes = {"dataset": "", "loop": {"model": {"network": {"dimensions": 3, "size": 32}}}}
    assert resolve_start(TrainConfig.model_validate(volumes))[0].start == "pretrained-volumes"


def test_the_padding_follows_the_images_unless_it_is_set() -> None:
    manifest = DatasetManifest(
        shape=(16, 16), n_phases=2, classes={}, shards=(Shard(file="a.parquet", rows=1, digest=""),)
    )
    for periodic, given, expected in [
        (True, None, "periodic"),
        (False, None, "zero"),
        (True, "zero", "zero"),
        (False, "periodic", "periodic"),
    ]:
        network = MODEL["network"] | ({} if given is None else {"padding": given})
        config = TrainConfig.model_validate({"dataset": "", "loop": {"model": {"network": network}}})
        resolved = resolve_padding(config, manifest.model_copy(update={"periodic": periodic}))
        assert resolved.loop.model.network.padding == expected, (periodic, given)
        assert resolve_padding(resolved, manifest) == resolved
