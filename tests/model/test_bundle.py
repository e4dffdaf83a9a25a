"""The model bundle on disk: whole, without code, or refused with a sentence."""

import json
import resource
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from microdesign.core.errors import InputError
from microdesign.core.files import digest
from microdesign.model.bundle import Bundle, Description, description_digest, load_bundle, save_bundle
from microdesign.model.model_config import ModelConfig
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.networks.upsampling_decoder import UpsamplingDecoder
from microdesign.model.prior.config import PriorConfig
from microdesign.model.prior.priors import ConditionalPrior
from microdesign.model.standardization import Standardization
from microdesign.model.vae import VAERegression
from tests.cases import case

NETWORK = NetworkConfig(size=32, widths=(8, 8, 16), latent=4, hidden=32)
STANDARDIZATION = Standardization(names=("Ex", "vxy"), units=("MPa", "1"), offsets=(1.0, 0.3), scales=(0.5, 0.1))


def saved(folder: Path, kind: str = "mixture", network: NetworkConfig = NETWORK) -> Bundle:
    torch.manual_seed(0)
    config = ModelConfig(network=network, prior=PriorConfig(kind=kind))
    description = Description(
        model=config, standardization=STANDARDIZATION, dataset="abc", metrics={"r2": 0.5}, materials={"plane": "stress"}
    )
    return save_bundle(folder, VAERegression(config, 2), description)


def edit(folder: Path, **changes: Any) -> None:
    """Changes the description, and its digest with it, as nobody but a test would."""
    path = folder / "model.json"
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(values | {"digest": description_digest(values)}))


class OwnPrior(ConditionalPrior):
    """A prior of a user's own."""


class OwnDecoder(UpsamplingDecoder):
    """A decoder of a user's own."""


def test_round_trip(tmp_path: Path) -> None:
    own = NETWORK.model_copy(update={"decoder": f"{__name__}:OwnDecoder"})
    for kind, network in (("mixture", NETWORK), ("standard", NETWORK), (f"{__name__}:OwnPrior", own)):
        with case(kind=kind):
            folder = tmp_path / kind.rpartition(":")[2] / "bundle"
            before = saved(folder, kind, network)
            after = load_bundle(folder)
            assert after.description == before.description
            assert after.properties == ("Ex", "vxy")
            assert after.description.weights == digest((folder / "weights.safetensors").read_bytes())
            assert not after.model.training
            x, c, z = (torch.rand(3, 1, 32, 32) > 0.5).float(), torch.randn(3, 2), torch.randn(3, 4)
            for one, other in zip(before.model.encode(x), after.model.encode(x), strict=True):
                torch.testing.assert_close(one, other)
            torch.testing.assert_close(before.model.decode(z), after.model.decode(z))
            torch.testing.assert_close(before.model.prior(c), after.model.prior(c), rtol=0, atol=0)
    assert isinstance(after.model.prior, OwnPrior)
    assert isinstance(after.model.decoder, OwnDecoder)


def test_the_same_model_has_the_same_digest(tmp_path: Path) -> None:
    assert saved(tmp_path / "a").digest == saved(tmp_path / "b").digest
    assert saved(tmp_path / "a").digest != saved(tmp_path / "c", "conditional").digest


def test_the_folder_holds_weights_and_description_alone(tmp_path: Path) -> None:
    saved(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "weights.safetensors"]
    assert load_file(tmp_path / "weights.safetensors")
    described = json.loads((tmp_path / "model.json").read_text())
    assert described["standardization"]["units"] == ["MPa", "1"]
    assert described["model"]["network"]["size"] == 32
    assert described["materials"] == {"plane": "stress"}


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors"])
def test_missing_file(tmp_path: Path, name: str) -> None:
    saved(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=r"is no model bundle; expected a folder with model\.json"):
        load_bundle(tmp_path)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: is no model bundle"):
        load_bundle(tmp_path / "nowhere")


@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_damaged_weights(tmp_path: Path, damage: str) -> None:
    saved(tmp_path)
    path = tmp_path / "weights.safetensors"
    data = bytearray(path.read_bytes())
    if damage == "cut":
        del data[-100:]
    else:
        data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"weights\.safetensors: does not match the digest in model\.json"):
        load_bundle(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"model\.json: is not valid JSON"),
        ("[1, 2]", r"model\.json: format None is of another version; expected 6; train the model again\."),
        ('{"hello": "world"}', r"model\.json: format None is of another version; expected 6; train the model again\."),
        ('{"format": 5}', r"model\.json: format 5 is of another version; expected 6; train the model again\."),
        ('{"format": 6}', r"model\.json: 'model' is missing\."),
    ],
)
def test_foreign_json(tmp_path: Path, text: str, message: str) -> None:
    saved(tmp_path)
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(InputError, match=message):
        load_bundle(tmp_path)


def test_unknown_key(tmp_path: Path) -> None:
    saved(tmp_path)
    edit(tmp_path, loader="os:system")
    with pytest.raises(InputError, match=r"model\.json: unknown key 'loader'"):
        load_bundle(tmp_path)


def test_weights_of_another_model(tmp_path: Path) -> None:
    saved(tmp_path)
    narrow = NETWORK.model_copy(update={"latent": 3})
    edit(tmp_path, model=ModelConfig(network=narrow).model_dump(mode="json"))
    with pytest.raises(InputError, match=r"weights\.safetensors: does not fit model\.json"):
        load_bundle(tmp_path)


def test_no_entry_of_the_description_changes_unnoticed(tmp_path: Path) -> None:
    saved(tmp_path)
    path = tmp_path / "model.json"
    values = json.loads(path.read_text())
    standardization = values["standardization"]
    reversed_names = {**standardization, "names": standardization["names"][::-1]}
    for changes in ({"standardization": reversed_names}, {"pixel_size": 2.0}, {"metrics": {"r2": 0.6}}, {"digest": ""}):
        with case(changes=changes):
            path.write_text(json.dumps(values | changes))
            with pytest.raises(InputError, match=r"model\.json: does not match its own digest; it was changed"):
                load_bundle(tmp_path)


def test_sizes_of_a_stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that its description makes too large is refused before it is built."""
    monkeypatch.setenv("MICRODESIGN_READ_BUDGET", "16MiB")
    saved(tmp_path)
    load_bundle(tmp_path)
    model = json.loads((tmp_path / "model.json").read_text())["model"]
    for change in (
        {"widths": [8, 8, 10**9]},
        {"widths": [8, 8, 2**14]},
        {"widths": [8] * 10**5},
        {"depth": 10**9},
        {"latent": 10**12},
        {"latent": 2**14},
        {"hidden": 2**14, "latent": 2**10},
        {"size": 2**40},
        {"size": 2**14},
        {"size": 2**9, "dimensions": 3},
        {"field_channels": 10**9},
    ):
        with case(change=change):
            edit(tmp_path, model={**model, "network": {**model["network"], **change}})
            before = peak_memory()
            with pytest.raises(InputError, match=r"model\.json"):
                load_bundle(tmp_path)
            assert peak_memory() - before < 2**26


def peak_memory() -> int:
    """Peak of this process's memory, bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_weights_that_are_no_safetensors(tmp_path: Path) -> None:
    saved(tmp_path)
    with (tmp_path / "weights.safetensors").open("wb") as file:
        torch.save({"weight": torch.zeros(3)}, file)
    edit(tmp_path, weights=digest((tmp_path / "weights.safetensors").read_bytes()))
    with pytest.raises(InputError, match=r"weights\.safetensors: is no file of tensors"):
        load_bundle(tmp_path)


def test_weights_too_many(tmp_path: Path) -> None:
    saved(tmp_path)
    path = tmp_path / "weights.safetensors"
    save_file(load_file(path) | {"extra": torch.zeros(1)}, path)
    edit(tmp_path, weights=digest(path.read_bytes()))
    with pytest.raises(InputError, match="does not fit"):
        load_bundle(tmp_path)


def test_pixels_are_on_record_and_bundles_from_before_are_of_squares(tmp_path: Path) -> None:
    bundle = saved(tmp_path / "new")
    bricks = bundle.description.model_copy(update={"aspect": (1.0, 2.0), "pixel_size": 0.5})
    save_bundle(tmp_path / "new", bundle.model, bricks)
    assert load_bundle(tmp_path / "new").description.aspect == (1.0, 2.0)
    saved(tmp_path / "old")
    path = tmp_path / "old" / "model.json"
    values = json.loads(path.read_text())
    del values["aspect"]
    path.write_text(json.dumps(values | {"digest": description_digest(values)}))
    assert load_bundle(tmp_path / "old").description.aspect == ()
