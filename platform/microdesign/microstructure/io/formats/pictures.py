"""Folders of pictures: PNG or TIFF files, one per image, or one folder per volume with a file per z.

Rows of a picture run along y, from the top: `(Y, X)` becomes an image `(X, Y)`; slices become z. `images.json`, written
along, states what pictures cannot: phases, classes, properties, pixel size; a folder without it is read all the same.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from microdesign.core.config import Config, validate_config
from microdesign.core.errors import InputError
from microdesign.core.files import path_inside, read_json, write_json
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.label_arrays import chunk_length
from microdesign.microstructure.data.manifest import MANIFEST_FILE
from microdesign.microstructure.io.formats.natural_order import natural
from microdesign.microstructure.io.formats.png import read_png
from microdesign.microstructure.io.formats.raw import RawImages, batches, gathered
from microdesign.microstructure.io.formats.tiff import read_page
from microdesign.microstructure.io.formats.tiff_pages import single_channel
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions
from microdesign.microstructure.io.protocol import Reader, Writer

INDEX_FILE = "images.json"
SUFFIXES = (".png", ".tif", ".tiff")


class PictureSample(Config):
    """One sample of a folder of pictures."""

    image: str
    """Its file, or the folder of its slices, in the folder."""
    class_name: str = Field(default="", alias="class")
    """Its class."""
    properties: dict[str, float | None] = Field(default_factory=dict)
    """Its properties; None is not known."""


class PictureIndex(Config):
    """What `images.json` holds."""

    n_phases: int = Field(ge=1, le=256)
    """Number of phases."""
    dimension: int = Field(ge=2, le=3)
    """Whether the samples are images or volumes."""
    periodic: bool = True
    """Whether the images are periodic."""
    pixel_size: float = Field(default=1.0, gt=0)
    """Edge length of a pixel along x."""
    aspect: tuple[float, ...] = ()
    """Edge lengths along each axis over that along x; empty for squares and cubes."""
    length_unit: str = ""
    """Unit of the pixel size; empty where it is not known."""
    samples: tuple[PictureSample, ...]
    """The samples in order."""


class PictureReader(Reader):
    """Reads a PNG picture, or a folder of PNG or TIFF pictures.

    Without `images.json` each picture is a sample, and pictures in subfolders have the subfolder's name as class; with
    `dims` 3 the pictures of a folder, or of each subfolder, are the slices of one volume.
    """

    name = ".png, or a folder of .png or .tif pictures"
    takes = ("dims", "n_phases", "values", "threshold")

    def accepts(self, path: Path) -> bool:
        """Accepts the suffix `.png`, and folders with pictures, or with folders of pictures, that are no data set."""
        if not path.is_dir():
            return path.suffix.lower() == ".png"
        return not (path / MANIFEST_FILE).is_file() and holds_pictures(path)

    def read(
        self, path: Path, chunk: int | None = None, options: ReadOptions = NO_OPTIONS
    ) -> Iterator[Microstructures]:
        """Yields the images of a folder in natural order of their names (2 before 10), or the one of a picture file.

        Raises:
            InputError: There are no pictures, they differ in size, or one is damaged, in colours, or holds grey levels.
        """
        index = None if path.is_file() else _read_index(path)
        if index is not None and (options.dims or index.dimension) == index.dimension:
            samples = [
                _sample_files(path_inside(path, sample.image, INDEX_FILE), index.dimension) for sample in index.samples
            ]
            classes = [sample.class_name for sample in index.samples]
            dimension = index.dimension
        else:
            samples, classes = ([[path]], [""]) if path.is_file() else _find(path, options.dims == 3)
            dimension, index = options.dims or 2, None
        if not samples:
            raise InputError(f"{path}: holds no pictures ({', '.join(SUFFIXES)}); expected at least one.")
        first = read_picture(samples[0][0])

        def image(files: list[Path]) -> NDArray:
            slices = []
            for file in files:
                picture = read_picture(file)
                if picture.shape != first.shape:
                    raise InputError(
                        f"{file}: has {_size(picture)} pixels; expected {_size(first)}, as in {samples[0][0].name}."
                    )
                slices.append(picture.T)
            if len(files) != len(samples[0]):
                raise InputError(f"{files[0].parent}: holds {len(files)} slices; expected {len(samples[0])}.")
            return slices[0] if dimension == 2 else np.stack(slices, axis=-1)

        length = chunk_length(first.nbytes * len(samples[0]), chunk, str(path))
        raw = RawImages(
            chunks=lambda: gathered(map(image, samples), length),
            source=str(path),
            picture=True,
            classes=tuple(classes),
            **_known(index),
        )
        yield from batches(raw, options)


def read_picture(path: Path) -> NDArray:
    """Returns a PNG or TIFF picture as stored, `(Y, X)`: grey values, or the indices of a palette.

    Raises:
        InputError: The file is damaged, a pickle, in colours, or of several pages.
    """
    if path.suffix.lower() != ".png":
        return read_page(path)
    return single_channel(read_png(path), str(path))


class PictureWriter(Writer):
    """Writes a new folder of PNG pictures with a palette of greys (index = label), and `images.json`.

    Images are `000000.png`, ...; volumes are folders `000000/` with a picture per z.
    """

    suffixes = ()
    stores = ("n_phases", "classes", "properties", "periodic", "pixel_size")

    def write(self, path: Path, images: Iterable[Microstructures]) -> Path:
        """Writes the folder.

        Raises:
            OSError: A file cannot be written; the folder then is incomplete.
        """
        samples: list[dict[str, Any]] = []
        head: dict[str, Any] = {}
        for batch in images:
            dimension = len(batch.shape)
            head = {"n_phases": batch.n_phases, "dimension": dimension, "periodic": batch.periodic}
            head |= batch.physical
            path.mkdir(parents=True, exist_ok=True)
            for number, labels in enumerate(batch.labels):
                name = f"{len(samples):06d}"
                if dimension == 2:
                    name += ".png"
                    _write_picture(path / name, labels.T, batch.n_phases)
                else:
                    (path / name).mkdir()
                    for z in range(batch.shape[2]):
                        _write_picture(path / name / f"{z:05d}.png", labels[..., z].T, batch.n_phases)
                values = {key: float(column[number]) for key, column in batch.properties.items()}
                properties = {key: None if np.isnan(value) else value for key, value in values.items()}
                samples.append({"image": name, "class": batch.classes[number], "properties": properties})
        write_json(path / INDEX_FILE, head | {"samples": samples})
        return path


def holds_pictures(folder: Path) -> bool:
    """Tells whether a folder, or a folder in it, holds pictures."""
    return (folder / INDEX_FILE).is_file() or bool(_find(folder, volumes=False)[0])


def _write_picture(path: Path, rows: NDArray[np.uint8], n_phases: int) -> None:
    picture = Image.fromarray(np.ascontiguousarray(rows))
    greys = np.linspace(255, 0, max(n_phases, 2)).astype(np.uint8)
    # An index picture: exact labels for programs, distinct greys for people.
    picture.putpalette(np.repeat(greys, 3).tobytes())
    picture.save(path, format="PNG")


def _find(folder: Path, volumes: bool) -> tuple[list[list[Path]], list[str]]:
    files = _pictures(folder)
    if files:
        samples = [files] if volumes else [[file] for file in files]
        return samples, [""] * len(samples)
    inner = [part for part in sorted(folder.iterdir(), key=natural) if part.is_dir() and not part.name.startswith(".")]
    found = [(part.name, _pictures(part)) for part in inner]
    if volumes:
        samples = [files for _, files in found if files]
        return samples, [""] * len(samples)
    return [[file] for _, files in found for file in files], [name for name, files in found for _ in files]


def _pictures(folder: Path) -> list[Path]:
    files = (path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    return sorted(files, key=natural)


def _sample_files(path: Path, dimension: int) -> list[Path]:
    files = _pictures(path) if dimension == 3 and path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise InputError(f"{path}: is missing, yet {INDEX_FILE} lists it; restore it or remove {INDEX_FILE}.")
    return files


def _read_index(folder: Path) -> PictureIndex | None:
    path = folder / INDEX_FILE
    return validate_config(PictureIndex, read_json(path), source=str(path)) if path.is_file() else None


def _known(index: PictureIndex | None) -> dict[str, Any]:
    if index is None:
        return {"periodic": False}  # another program's pictures are scans
    names = dict.fromkeys(name for sample in index.samples for name in sample.properties)
    columns = {name: np.array([_number(sample.properties.get(name)) for sample in index.samples]) for name in names}
    return {
        "n_phases": index.n_phases,
        "periodic": index.periodic,
        "pixel_size": index.pixel_size,
        "aspect": index.aspect,
        "length_unit": index.length_unit,
        "properties": columns,
    }


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _size(picture: NDArray) -> str:
    return f"{picture.shape[1]} x {picture.shape[0]}"
