"""The model bundle: a folder with `weights.safetensors` and `model.json`. It holds no code and loading it runs none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from microdesign.config import Config, validate_config
from microdesign.errors import InputError
from microdesign.files import digest, read_json, replacing, write_json
from microdesign.model.networks import channels_last
from microdesign.model.standardization import Standardization
from microdesign.model.vae import ModelConfig, VAERegression

FORMAT = 1
WEIGHTS, DESCRIPTION = "weights.safetensors", "model.json"


class Description(Config):
    """What `model.json` says: enough to rebuild the model and to judge where it applies."""

    format: int = Field(FORMAT, description="version of this layout")
    model: ModelConfig
    standardization: Standardization
    materials: Mapping[str, Any] | None = Field(None, description="materials of the training labels")
    dataset: str | None = Field(None, description="digest of the training data set")
    metrics: Mapping[str, float] = Field(default_factory=dict, description="measured on held-out images")
    weights: str = Field("", description="digest of the weights file")


@dataclass(frozen=True)
class Bundle:
    """A trained model with what makes it usable.

    Attributes:
        model: The network, in evaluation mode.
        description: What the folder's `model.json` says.
    """

    model: VAERegression
    description: Description = field(repr=False)

    @property
    def properties(self) -> tuple[str, ...]:
        """Names of the properties, in the order of the model's property axis."""
        return self.description.standardization.names

    @property
    def digest(self) -> str:
        """Names this very model in later records."""
        return self.description.weights


def save_bundle(folder: str | Path, model: VAERegression, description: Description) -> Bundle:
    """Writes a bundle: weights first, `model.json` last, so that a folder with `model.json` is whole."""
    folder = Path(folder)
    with replacing(folder / WEIGHTS) as temporary:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}, temporary)
    written = description.model_copy(update={"weights": digest((folder / WEIGHTS).read_bytes())})
    write_json(folder / DESCRIPTION, written.model_dump(mode="json"))
    return Bundle(model.eval(), written)


def load_bundle(folder: str | Path) -> Bundle:
    """Reads a bundle.

    Raises:
        InputError: The folder is no bundle, its files do not belong together, or the format is newer than this version.
    """
    folder = Path(folder)
    if not (folder / DESCRIPTION).is_file() or not (folder / WEIGHTS).is_file():
        raise InputError(f"{folder}: is no model bundle; expected a folder with {DESCRIPTION} and {WEIGHTS}.")
    values = read_json(folder / DESCRIPTION)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        found = values.get("format") if isinstance(values, dict) else None
        raise InputError(f"{folder / DESCRIPTION}: format {found} is not supported; expected {FORMAT}.")
    description = validate_config(Description, values, str(folder / DESCRIPTION))
    if digest((folder / WEIGHTS).read_bytes()) != description.weights:
        raise InputError(f"{folder / WEIGHTS}: does not match the digest in {DESCRIPTION}; the bundle is damaged.")
    model = VAERegression(description.model, len(description.standardization.names))
    try:
        model.load_state_dict(load_file(folder / WEIGHTS))
    except (SafetensorError, RuntimeError) as error:
        raise InputError(f"{folder / WEIGHTS}: does not fit {DESCRIPTION} ({str(error).splitlines()[0]}).") from None
    return Bundle(channels_last(model).eval(), description)
