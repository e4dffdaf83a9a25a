"""The manifest of a data set on disk, and the seeded split into training, validation and test samples."""

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from microdesign.core.config import Config, validate_config
from microdesign.core.errors import InputError
from microdesign.core.files import digest_json, read_json

MANIFEST_FILE = "dataset.json"
FORMAT_VERSION = 1

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")


class SplitConfig(Config):
    """How the samples of each class are divided; the shares add up to one."""

    seed: int = Field(0, ge=0, description="seed of the permutation of each class")
    train: float = Field(0.8, ge=0, le=1, description="share of the training samples")
    validation: float = Field(0.1, ge=0, le=1, description="share of the validation samples")
    test: float = Field(0.1, ge=0, le=1, description="share of the test samples")

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        total = sum(self.fractions)
        if abs(total - 1) > 1e-9:
            raise ValueError(f"train + validation + test = {total:g}; expected 1")
        return self

    @property
    def fractions(self) -> tuple[float, float, float]:
        """The shares in the order of `SPLITS`."""
        return self.train, self.validation, self.test


class Shard(Config):
    """One Parquet file of a data set."""

    file: str
    """Name of the file in the data set's folder."""
    rows: int = Field(ge=1)
    """Number of samples in it."""
    digest: str
    """SHA-256 of its content (images, classes, generation, properties), not of the file's bytes."""

    @property
    def name(self) -> str:
        """Name as `DatasetWriter` takes it: the file without its suffix."""
        return self.file.removesuffix(".parquet")


class DatasetManifest(Config):
    """What `dataset.json` holds: the description of a data set, the same for whoever made or labelled it."""

    version: int = FORMAT_VERSION
    """Version of the layout."""
    shape: tuple[int, ...]
    """Number of pixels along each spatial axis, x first."""
    n_phases: int = Field(ge=1, le=256)
    """Number of phases."""
    periodic: bool = True
    """Whether the images tile space without a seam."""
    pixel_size: float = Field(default=1.0, gt=0)
    """Edge length of a pixel along x."""
    aspect: tuple[float, ...] = ()
    """Edge lengths along each axis over that along x; empty for squares and cubes."""
    length_unit: str = ""
    """Unit of the pixel size; empty where it is not known."""
    classes: dict[str, int]
    """Number of samples of each class."""
    properties: dict[str, str] = Field(default_factory=dict)
    """Unit of each property column."""
    materials: dict[str, Any] | None = None
    """Phase properties behind the property columns, None without any."""
    shards: tuple[Shard, ...]
    """The shards in order; a sample's index counts through them."""
    seed: int | None = None
    """Seed of the generators, None when the images came from elsewhere."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Resolved settings of what made the data set (the generators, the labelling)."""
    split: SplitConfig = SplitConfig()
    """Seed and shares of the split."""
    digest: str = ""
    """SHA-256 of all of the above: the name of the data set in every later record."""

    def __len__(self) -> int:
        return sum(shard.rows for shard in self.shards)

    @property
    def physical(self) -> dict[str, Any]:
        """The fields of `Microstructures` that say how large a pixel is."""
        return {"pixel_size": self.pixel_size, "aspect": self.aspect, "length_unit": self.length_unit}

    @property
    def edges(self) -> tuple[float, ...]:
        """Edge lengths of a pixel along each axis over that along x."""
        return self.aspect or (1.0,) * len(self.shape)

    def content_digest(self) -> str:
        """Returns the digest of everything but the digest itself."""
        # What is not known is not part of it, so that it is that of data sets from before these fields.
        unknown = {name for name in ("aspect", "length_unit") if not getattr(self, name)}
        return digest_json(self.model_dump(mode="json", exclude={"digest", *unknown}))


def read_manifest(folder: str | Path) -> DatasetManifest:
    """Reads and checks `dataset.json` in `folder`.

    Raises:
        InputError: The folder or the manifest is missing, of another version, invalid or changed by hand.
    """
    path = Path(folder) / MANIFEST_FILE
    if not path.is_file():
        what = "is a file" if Path(folder).is_file() else f"holds no {MANIFEST_FILE}"
        raise InputError(
            f"{folder}: {what}; expected the folder of a finished data set, which `microdesign data convert` makes of "
            "small periodic images and `microdesign data windows` of micrographs and other large images."
        )
    values = read_json(path)
    if isinstance(values, dict) and values.get("version") != FORMAT_VERSION:
        raise InputError(f"{path}: has version {values.get('version')}; expected {FORMAT_VERSION}.")
    manifest = validate_config(DatasetManifest, values, source=str(path))
    if manifest.digest != manifest.content_digest():
        raise InputError(f"{path}: does not match its own digest; it was changed after the data set was finished.")
    return manifest


def split_indices(
    classes: Sequence[str], fractions: Sequence[float] = (0.8, 0.1, 0.1), seed: int = 0
) -> dict[SplitName, NDArray[np.int64]]:
    """Divides the samples of each class by seeded permutation, stratified: every class in the same shares.

    Args:
        classes: Class of each sample, n names.
        fractions: Shares of training, validation and test, adding up to one.
        seed: Seed; the same classes and seed give the same split anywhere.

    Returns:
        Sorted indices per split; disjoint, together 0 to n - 1.

    Raises:
        InputError: There are not three shares from 0 to 1 that add up to one.
    """
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
        raise InputError(f"split fractions {tuple(fractions)}; expected three shares from 0 to 1 that add up to 1.")
    names, of_sample = np.unique(np.asarray(classes, dtype=str), return_inverse=True)
    parts: Mapping[SplitName, list[NDArray[np.int64]]] = {name: [] for name in SPLITS}
    for number, name in enumerate(names):
        stream = np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(str(name).encode())]))
        members = stream.permutation(np.flatnonzero(of_sample == number))
        cuts = np.rint(np.cumsum(fractions)[:2] * len(members)).astype(int)
        for split, part in zip(SPLITS, np.split(members, cuts), strict=True):
            parts[split].append(part)
    return {name: np.sort(np.concatenate([np.zeros(0, dtype=np.int64), *parts[name]])) for name in SPLITS}
