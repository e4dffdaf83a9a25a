"""From a configuration to a generated data set on disk, resumable by shard."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from microdesign.core.config import Config
from microdesign.core.errors import InputError
from microdesign.core.progress import Progress, silent
from microdesign.microstructure.data.container import MAX_PHASES, Microstructures
from microdesign.microstructure.data.dataset import Dataset, DatasetWriter
from microdesign.microstructure.data.manifest import SplitConfig
from microdesign.microstructure.data.sizes import Sizes, as_json, named, pixels, shape_of, simplest
from microdesign.microstructure.generators.registry import FAMILIES, MIN_SIZE, find_family, generate
from microdesign.microstructure.io.formats.hdf5.micro2d import write_micro2d

# Raise it when a generator changes what it draws, so that shards of the old one are not reused.
GENERATORS_VERSION = 2
MAX_PIXELS = 2**27
# Of all samples of a shard, which is generated in memory; labels take a byte a pixel.
MAX_SHARD_PIXELS = 2**28


class GenerateConfig(Config):
    """What to generate."""

    families: tuple[str, ...] = Field(
        ("GRF", "AngEllipse", "RandomEllipse", "VoronoiMedium"),
        description="names of the families, each a class of the data set; module:name for a generator of your own",
    )
    count_per_family: int = Field(1000, ge=1, description="number of samples of each family")
    size: Annotated[Sizes, BeforeValidator(pixels(MIN_SIZE, 4096))] = Field(
        64,
        description="pixels along each axis: one number, or one for each, such as [96, 64]; lengths of what is drawn "
        "are in proportion to the shortest",
    )
    dims: Literal[2, 3] = Field(
        2, description="number of axes: 2 for images, 3 for volumes; not every family draws volumes"
    )
    n_phases: int = Field(
        2, ge=2, le=MAX_PHASES, description="number of phases; more than 2 for the family Polycrystal alone"
    )
    seed: int = Field(
        0, ge=0, description="seed of all images; sample i of a family depends on it, the family and i alone"
    )
    shard_size: int = Field(
        500,
        ge=1,
        description="largest number of samples in a shard, which is what a killed run loses at most; large volumes get "
        "smaller shards",
    )
    split: SplitConfig = Field(SplitConfig(), description="seed and shares of training, validation and test")

    @field_validator("families")
    @classmethod
    def _known(cls, families: tuple[str, ...]) -> tuple[str, ...]:
        names = [find_family(name)[0] for name in families]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"expected different names out of: {', '.join(sorted(FAMILIES))}, or module:name")
        return families

    @field_validator("dims", "n_phases")
    @classmethod
    def _drawable(cls, value: int, info: ValidationInfo) -> int:
        for name in info.data.get("families", ()):
            refusal = find_family(name)[1].refusal(**{str(info.field_name): value})
            if refusal is not None:
                raise ValueError(f"the family {name} {refusal}")
        return value

    @model_validator(mode="after")
    def _shaped(self) -> Self:
        if math.prod(self.shape) > MAX_PIXELS:
            raise ValueError(f"size = {named(self.size)} is too large; expected at most {MAX_PIXELS} pixels in all")
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels along each axis."""
        return shape_of(self.size, self.dims)


@dataclass(frozen=True)
class ShardPlan:
    """The samples of one shard: `start` to `start + count - 1` of a family."""

    name: str
    family: str
    start: int
    count: int


def plan_shards(config: GenerateConfig) -> list[ShardPlan]:
    """Returns the shards of a configuration; each can be generated on its own, by any worker."""
    length = min(config.shard_size, max(1, MAX_SHARD_PIXELS // math.prod(config.shape)))
    return [
        ShardPlan(f"{find_family(family)[0]}-{number:05d}", family, start, min(length, config.count_per_family - start))
        for family in config.families
        for number, start in enumerate(range(0, config.count_per_family, length))
    ]


def dataset_writer(config: GenerateConfig, folder: str | Path) -> DatasetWriter:
    """Returns the writer for a configuration; its settings name everything that an image depends on."""
    settings = {
        "families": list(config.families),
        "count_per_family": config.count_per_family,
        "size": as_json(simplest(config.shape)),
        "shard_size": config.shard_size,
        "generators_version": GENERATORS_VERSION,
        # Left out at their defaults, so that shards from before there was a choice are still good.
        **({"dims": config.dims} if config.dims != 2 else {}),
        **({"n_phases": config.n_phases} if config.n_phases != 2 else {}),
    }
    return DatasetWriter(folder, settings=settings, seed=config.seed, split=config.split)


def generate_dataset(config: GenerateConfig, folder: str | Path, progress: Progress = silent) -> Dataset:
    """Generates a data set; shards that are there already, made with the same settings, are reused.

    Args:
        config: What to generate.
        folder: Where; a data set of other settings there is replaced.
        progress: Takes the number of images after each shard.

    Raises:
        InputError: The folder is a file.
        StorageError: A shard cannot be written.
    """
    if Path(folder).is_file():
        raise InputError(f"{folder}: is a file; expected a folder for the data set.")
    writer = dataset_writer(config, folder)
    plan = plan_shards(config)
    total = sum(shard.count for shard in plan)
    done = 0
    for shard in plan:
        if not writer.has_shard(shard.name):
            writer.write_shard(shard.name, _draw(config, shard.family, shard.start, shard.count))
        done += shard.count
        progress.count(done, total, "images generated")
    return writer.finish([shard.name for shard in plan])


class GenerateJob(GenerateConfig):
    """What to generate, and where it goes."""

    renamed: ClassVar = {"images": "families, count_per_family, ...: the keys of images without the section"}

    out: str = Field(description="folder of the data set, or a `.h5` file in MICRO2D's layout")
    preview: bool = Field(
        False, description="whether to draw the first images of each class, `<class>.png` in the folder `<out>-preview`"
    )

    @property
    def images(self) -> GenerateConfig:
        """What to generate, without where it goes."""
        return GenerateConfig.model_validate(self.model_dump(include=set(GenerateConfig.model_fields)))


def generate_to(job: GenerateJob, progress: Progress = silent) -> dict[str, Any]:
    """Generates a data set folder, resumable by shard, or a MICRO2D file in one go; returns what was made.

    Raises:
        InputError: A folder is asked for where a file is.
        StorageError: It cannot be written.
    """
    made: dict[str, Any]
    if Path(job.out).suffix in (".h5", ".hdf5"):
        made = {"file": job.out, "images": _write_micro2d(job, progress)}
    else:
        dataset = generate_dataset(job.images, job.out, progress)
        made = {"dataset": str(dataset.folder), "images": len(dataset), "digest": dataset.manifest.digest}
    if job.preview:
        made["preview"] = [str(file) for file in draw_preview(job.images, preview_folder(job.out)).values()]
    return made


def preview_folder(out: str | Path) -> Path:
    """Returns the folder beside a data set, or a file, where its contact sheets go."""
    path = Path(out)
    return path.with_name(f"{path.stem if path.suffix in ('.h5', '.hdf5') else path.name}-preview")


def draw_preview(config: GenerateConfig, folder: str | Path) -> dict[str, Path]:
    """Draws the first images of each family, generated again, on one contact sheet a family; returns the files.

    Raises:
        StorageError: A file cannot be written.
    """
    # Drawing takes a second to import, and is seldom asked for.
    from microdesign.microstructure.generators.contact_sheets import COLUMNS, ROWS, write_contact_sheets

    count = min(config.count_per_family, COLUMNS * ROWS)
    return write_contact_sheets((_draw(config, family, 0, count) for family in config.families), folder)


def _draw(config: GenerateConfig, family: str, start: int, count: int) -> Microstructures:
    return generate(family, count, config.shape, config.seed, n_phases=config.n_phases, start=start)


def _write_micro2d(job: GenerateJob, progress: Progress) -> int:
    plan = plan_shards(job.images)
    total = sum(shard.count for shard in plan)

    def batches() -> Iterator[Microstructures]:
        done = 0
        for shard in plan:
            yield _draw(job.images, shard.family, shard.start, shard.count)
            done += shard.count
            progress.count(done, total, "images generated")

    write_micro2d(job.out, batches())
    return total
