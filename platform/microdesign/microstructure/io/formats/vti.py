"""VTK image data (`.vti`) as ParaView reads it: phase labels per cell, properties as field data.

A voxel is a cell; VTK's first axis is x and runs fastest. A two-dimensional image has no extent along z.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.core.files import replacing
from microdesign.core.units import known_length_unit, pixel_fields
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.label_arrays import chunk_length
from microdesign.microstructure.io.formats.natural_order import natural
from microdesign.microstructure.io.formats.raw import RawImages, batches, gathered
from microdesign.microstructure.io.formats.vti_parser import parse_vti
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions
from microdesign.microstructure.io.protocol import Reader, Writer

_ARRAY = "phase"
_PHASES, _PERIODIC, _UNIT = "n_phases", "periodic", "length_unit"


class VtiReader(Reader):
    """Reads VTK image data: a `.vti` file, or a folder of such files in natural order of their names.

    The image is the array that `array` names, else the only integer one, of the cells or else of the points; one cell
    thick, it is two-dimensional unless `dims` is 3. Field data of one number are properties, but for the time of a
    series; `n_phases` there is the number of phases, `periodic` 0 says that the images are not, and
    `length_unit` is the unit of the spacing.
    """

    name = ".vti, or a folder of them"
    takes = ("array", "dims", "n_phases", "values", "threshold")

    def accepts(self, path: Path) -> bool:
        """Accepts the suffix `.vti`, and folders with such files."""
        return any(path.glob("*.vti")) if path.is_dir() else path.suffix.lower() == ".vti"

    def read(
        self, path: Path, chunk: int | None = None, options: ReadOptions = NO_OPTIONS
    ) -> Iterator[Microstructures]:
        """Yields the images with their properties.

        Raises:
            InputError: A file is damaged or no image data, it has no such array or several, or the files of a folder
                differ in size or spacing.
        """
        files = sorted(path.glob("*.vti"), key=natural) if path.is_dir() else [path]
        images = [parse_vti(file, options.array, False, options.dims) for file in files]
        for file, image in zip(files, images, strict=True):
            if image.spacing != images[0].spacing:
                raise InputError(
                    f"{file}: has spacing {image.spacing}; expected {images[0].spacing}, as in {files[0].name}."
                )
        names = dict.fromkeys(name for image in images for name in image.fields)
        phases = [int(image.fields.get(_PHASES, 0)) for image in images]
        columns = {
            name: np.array([image.fields.get(name, np.nan) for image in images])
            for name in names
            if name not in (_PHASES, _PERIODIC)
        }

        first = parse_vti(files[0], options.array, True, options.dims).labels
        length = chunk_length(first.nbytes, chunk, str(path))

        def stored() -> Iterator[NDArray]:
            for file in files:
                labels = parse_vti(file, options.array, True, options.dims).labels
                if labels.shape != first.shape:
                    raise InputError(
                        f"{file}: has {labels.shape} cells; expected {first.shape}, as in {files[0].name}."
                    )
                yield labels

        raw = RawImages(
            chunks=lambda: gathered(stored(), length),
            source=str(path),
            n_phases=max(phases) if min(phases) > 0 else None,
            properties=columns,
            periodic=all(image.fields.get(_PERIODIC, 1) for image in images),
            **pixel_fields(images[0].spacing, known_length_unit(images[0].texts.get(_UNIT))),
        )
        yield from batches(raw, options)


class VtiWriter(Writer):
    """Writes one sample to a `.vti` file, several to the folder of that name without the suffix.

    The files of the folder are `NAME_00000.vti`, ...; ParaView opens them as one series.
    """

    suffixes = (".vti",)
    stores = ("n_phases", "properties", "periodic", "pixel_size")

    def write(self, path: Path, images: Iterable[Microstructures]) -> Path:
        """Writes the file or the folder and returns which.

        Raises:
            StorageError: A file cannot be written; the folder then is incomplete.
        """
        folder = path.with_suffix("") if path.suffix else path
        pending: Microstructures | None = None
        count = 0
        for batch in images:
            for number in range(len(batch)):
                if pending is not None:
                    write_vti(folder / f"{folder.name}_{count:05d}.vti", pending)
                    count += 1
                pending = batch.select([number])
        if pending is not None and count == 0 and path.suffix:
            write_vti(path, pending)
            return path
        if pending is not None:
            write_vti(folder / f"{folder.name}_{count:05d}.vti", pending)
        return folder


def write_vti(path: str | Path, batch: Microstructures) -> None:
    """Writes one sample as unsigned 8-bit cell data `phase`, complete or absent.

    Raises:
        InputError: There is not exactly one sample.
        StorageError: The file cannot be written.
    """
    if len(batch) != 1:
        raise InputError(f"{path}: got {len(batch)} images; expected one per .vti file.")
    known = {name: float(values[0]) for name, values in batch.properties.items() if math.isfinite(values[0])}
    fields = "".join(
        f'      <DataArray type="Float64" Name={quoteattr(name)} NumberOfTuples="1" format="ascii">{value!r}'
        "</DataArray>\n"
        for name, value in {_PHASES: float(batch.n_phases), _PERIODIC: float(batch.periodic), **known}.items()
    )
    if batch.length_unit:
        # A text is the numbers of its characters, 0 at the end.
        codes = " ".join(map(str, [*batch.length_unit.encode(), 0]))
        fields += (
            f'      <DataArray type="String" Name="{_UNIT}" NumberOfTuples="1" format="ascii">{codes}</DataArray>\n'
        )
    with replacing(path) as temporary:
        write_cells(temporary, _ARRAY, batch.labels[0], (*batch.spacing, batch.pixel_size)[:3], fields)


def write_cells(path: Path, name: str, values: NDArray[np.integer], spacing: Sequence[float], fields: str = "") -> None:
    """Writes image data with one array of the cells.

    Args:
        path: The file.
        name: Of the array.
        values: Of the cells, uint8 or int32, `(X, Y)` or `(X, Y, Z)`.
        spacing: Edges of a cell along three axes.
        fields: XML of the field data.
    """
    extent = " ".join(f"0 {length}" for length in (*values.shape, 0)[:3])
    kind = {1: "UInt8", 4: "Int32"}[values.itemsize]
    head = f"""<?xml version="1.0"?>
<VTKFile type="ImageData" version="1.0" byte_order="LittleEndian" header_type="UInt64">
  <ImageData WholeExtent="{extent}" Origin="0 0 0" Spacing="{" ".join(repr(float(edge)) for edge in spacing)}">
    <FieldData>
{fields}    </FieldData>
    <Piece Extent="{extent}">
      <CellData Scalars="{name}">
        <DataArray type="{kind}" Name="{name}" format="appended" offset="0"/>
      </CellData>
    </Piece>
  </ImageData>
  <AppendedData encoding="raw">
_"""
    data = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes(order="F")
    with path.open("wb") as file:
        file.write(head.encode("utf-8"))
        file.write(len(data).to_bytes(8, "little"))
        file.write(data)
        file.write(b"\n  </AppendedData>\n</VTKFile>\n")
