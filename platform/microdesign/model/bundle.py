"""The model bundle, a folder: `weights.safetensors`, `model.json` and, once complete, `reference_set.safetensors`.

It holds no code, and loading it runs none but that of installed modules: a prior or a decoder of a user's own is
imported by the name in `model.json`, and is refused unless it is a subclass of the kind's base.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from microdesign.core.config import Config, validate_config
from microdesign.core.errors import InputError
from microdesign.core.files import digest_file, digest_json, read_json, replacing, write_json
from microdesign.model.bounded import build_bounded
from microdesign.model.calibration import Calibration
from microdesign.model.model_config import ModelConfig
from microdesign.model.reference_set import ReferenceSet
from microdesign.model.standardization import Standardization
from microdesign.model.vae import VAERegression

DECODING = 4
"""Raised whenever the same weights give other images than before."""
FORMAT = 6
WEIGHTS, REFERENCE_SET, DESCRIPTION = "weights.safetensors", "reference_set.safetensors", "model.json"


class Description(Config):
    """The content of `model.json`: enough to rebuild the model, and where it applies."""

    format: int = Field(FORMAT, description="version of this layout")
    model: ModelConfig
    standardization: Standardization
    materials: Mapping[str, Any] | None = Field(None, description="materials of the training labels")
    dataset: str | None = Field(None, description="digest of the training data set")
    pixel_size: float = Field(1.0, gt=0, description="edge of a pixel of the training images along x")
    aspect: tuple[float, ...] = Field(
        (), description="edges of a pixel along each axis over that along x; empty: squares or cubes"
    )
    length_unit: str = Field("", description="unit of the pixel size; empty where it is not known")
    turns: bool = Field(True, description="whether training images were turned, so that predictions may be averaged so")
    flips: bool = Field(True, description="whether training images were mirrored")
    several_resolutions: bool = Field(
        False,
        description="whether it has learned from images of several sizes, so that it knows a material in several "
        "resolutions: it then draws large features with half the pixels first",
    )
    metrics: Mapping[str, float] = Field(default_factory=dict, description="measured on held-out images")
    calibration: Calibration | None = Field(None, description="turns predicted deviations into intervals")
    weights: str = Field("", description="digest of the weights file")
    reference_set: str = Field("", description="digest of the file of the reference set; empty where there is none")
    digest: str = Field("", description="digest of all of the above, and so of the whole bundle")


@dataclass(frozen=True)
class Bundle:
    """A trained model with what makes it usable.

    Attributes:
        model: The network, in evaluation mode.
        description: The content of the folder's `model.json`.
        reference_set: A sample of its training data, for out-of-distribution scores; None if the bundle has none.
    """

    model: VAERegression
    description: Description = field(repr=False)
    reference_set: ReferenceSet | None = field(default=None, repr=False)

    @property
    def properties(self) -> tuple[str, ...]:
        """Names of the properties, in the order of the model's property axis."""
        return self.description.standardization.names

    @property
    def digest(self) -> str:
        """Identifies this model in later records: its weights and how they are decoded."""
        return digest_json([self.description.weights, DECODING])


def save_bundle(
    folder: str | Path, model: VAERegression, description: Description, reference_set: ReferenceSet | None = None
) -> Bundle:
    """Writes a bundle: weights first, `model.json` last, so that a folder with `model.json` is complete."""
    folder = Path(folder)
    digests = {"weights": _write(folder / WEIGHTS, model.state_dict()), "reference_set": ""}
    if reference_set is not None:
        digests["reference_set"] = _write(folder / REFERENCE_SET, reference_set.tensors())
    written = description.model_copy(update=digests)
    written = written.model_copy(update={"digest": description_digest(written.model_dump(mode="json"))})
    write_json(folder / DESCRIPTION, written.model_dump(mode="json"))
    return Bundle(model.eval(), written, reference_set)


def description_digest(values: Mapping[str, Any]) -> str:
    """Returns the digest of what `model.json` holds, which includes those of the other files, without its own.

    A file that is changed after it was written, such as names of properties in another order, does not match it.
    """
    return digest_json({name: value for name, value in values.items() if name != "digest"})


def load_bundle(folder: str | Path) -> Bundle:
    """Reads a bundle.

    Raises:
        InputError: The folder is no bundle, its files do not belong together or are damaged, the format is not this
            version's, or the model takes more memory than the budget of `core.budget`.
    """
    folder = Path(folder)
    if not (folder / DESCRIPTION).is_file() or not (folder / WEIGHTS).is_file():
        raise InputError(f"{folder}: is no model bundle; expected a folder with {DESCRIPTION} and {WEIGHTS}.")
    values = read_json(folder / DESCRIPTION)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        found = values.get("format") if isinstance(values, dict) else None
        raise InputError(
            f"{folder / DESCRIPTION}: format {found} is of another version; expected {FORMAT}; train the model again."
        )
    description = validate_config(Description, values, str(folder / DESCRIPTION))
    if description.digest != description_digest(values):
        raise InputError(f"{folder / DESCRIPTION}: does not match its own digest; it was changed after it was saved.")
    tensors = _read(folder / WEIGHTS, description.weights)
    model = build_bounded(description.model, len(description.standardization.names), str(folder / DESCRIPTION))
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise InputError(f"{folder / WEIGHTS}: does not fit {DESCRIPTION} ({str(error).splitlines()[0]}).") from None
    reference_set = None
    if description.reference_set:
        try:
            reference_set = ReferenceSet.from_tensors(_read(folder / REFERENCE_SET, description.reference_set))
        except (TypeError, ValueError, RuntimeError, IndexError):
            raise InputError(
                f"{folder / REFERENCE_SET}: holds other tensors than a reference set; train the model again."
            ) from None
    return Bundle(model.eval(), description, reference_set)


def _write(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Writes tensors; returns the file's digest."""
    with replacing(path) as temporary:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary)
    return digest_file(path)


def _read(path: Path, expected: str) -> dict[str, Tensor]:
    if not path.is_file() or digest_file(path) != expected:
        raise InputError(f"{path}: does not match the digest in {DESCRIPTION}; the bundle is damaged.")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise InputError(f"{path}: is no file of tensors ({str(error).splitlines()[0]}).") from None
