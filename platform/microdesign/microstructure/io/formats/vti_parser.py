"""The XML of VTK image data: one piece; text, base64 or raw binary arrays; none, zlib or LZMA compression."""

import base64
import lzma
import math
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from microdesign.core.budget import inflate, read_whole, refuse_large
from microdesign.core.errors import InputError
from microdesign.microstructure.data.label_arrays import refuse_unsafe

_TYPES = {
    **{f"{sign}Int{8 * size}": f"{kind}{size}" for sign, kind in (("", "i"), ("U", "u")) for size in (1, 2, 4, 8)},
    "Float32": "f4",
    "Float64": "f8",
}
_TIMES = ("timevalue", "time", "cycle", "timestep")
"""Field data by which ParaView and VisIt tell the steps of a series apart."""
_FIELD = 1024
"""Numbers of an array of field data, of which arrays of one are taken."""
_UNPACK: dict[str, Callable[[bytes, int], bytes]] = {
    "vtkZLibDataCompressor": inflate,
    "vtkLZMADataCompressor": lambda data, most: lzma.LZMADecompressor().decompress(data, most + 1),
}


@dataclass(frozen=True)
class VtiImage:
    """One image of a `.vti` file.

    Attributes:
        labels: The array as stored, `(X, Y)` or `(X, Y, Z)`; empty when it was not asked for.
        spacing: Edge length of a cell along each axis of the labels.
        fields: Field data of one number each, without ParaView's time and VisIt's cycle.
        texts: Field data of one text each.
    """

    labels: NDArray
    spacing: tuple[float, ...]
    fields: dict[str, float]
    texts: dict[str, str]


def parse_vti(path: Path, array: str | None, with_labels: bool, dims: int | None = None) -> VtiImage:
    """Reads a `.vti` file.

    Args:
        path: The file.
        array: Name of the array of labels; None takes the only integer one, of the cells or else of the points.
        with_labels: Whether to decode the labels.
        dims: 2 or 3; None takes an image one cell thick along an axis, as one without extent there, as two-dimensional.

    Raises:
        InputError: The file is missing, damaged, a pickle or no image data, it does not fit `dims`, or the array is
            missing, one of several, or of another length than the extent.
    """
    refuse_unsafe(path, "a .vti file of VTK image data")
    data = read_whole(path, "a .vti file")
    try:
        return _File(path, data).image(array, with_labels, dims)
    except InputError:
        raise
    except (ET.ParseError, ValueError, KeyError, IndexError, OverflowError, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"{path}: is no .vti file, or damaged ({' '.join(str(error).split())}).") from None


class _File:
    def __init__(self, path: Path, data: bytes) -> None:
        self.path = path
        end = data.find(b"<AppendedData")
        if b"<!ENTITY" in (data if end < 0 else data[:end]):
            raise InputError(f"{path}: declares entities, which VTK does not; expected VTK ImageData.")
        # Raw binary is no XML: only what stands before it is parsed.
        self.root = ET.fromstring(data if end < 0 else data[:end] + b"</VTKFile>")
        if self.root.tag != "VTKFile" or self.root.get("type") != "ImageData":
            raise InputError(f"{path}: holds {self.root.get('type', self.root.tag)}; expected VTK ImageData.")
        tag_end = data.find(b">", end)
        self.appended_raw = b"raw" in data[end:tag_end]
        self.appended = memoryview(b"" if end < 0 else data)[data.index(b"_", tag_end) + 1 if end >= 0 else 0 :]
        self.order = ">" if self.root.get("byte_order") == "BigEndian" else "<"
        self.count_type = np.dtype(self.order + _TYPES[self.root.get("header_type", "UInt32")])
        self.compressor = self.root.get("compressor")

    def image(self, wanted: str | None, with_labels: bool, dims: int | None) -> VtiImage:
        image = self.root.find("ImageData")
        pieces = [] if image is None else image.findall("Piece")
        if image is None or len(pieces) != 1:
            raise InputError(f"{self.path}: holds {len(pieces)} pieces; expected one.")
        bounds = [int(number) for number in (pieces[0].get("Extent") or image.attrib["WholeExtent"]).split()]
        lengths = [bounds[2 * axis + 1] - bounds[2 * axis] for axis in range(3)]
        section, element = self._choose(pieces[0], wanted)
        # An axis without extent holds no cells but one layer.
        cells = [max(length + (section == "PointData"), 1) for length in lengths]
        axes = self._axes(cells, dims)
        spacing = tuple(float(number) for number in image.get("Spacing", "1 1 1").split())
        if len(spacing) != 3 or not all(0 < spacing[axis] < math.inf for axis in axes):
            raise InputError(f"{self.path}: has spacing {list(spacing)}; expected three lengths above 0.")
        fields, texts = {}, {}
        for field in image.iterfind("FieldData/DataArray"):
            if field.get("type") in _TYPES and field.get("NumberOfTuples", "1") == "1":
                values = self._decode(field, _FIELD)
                if len(values) == 1 and field.get("Name", "").lower() not in _TIMES:
                    fields[field.get("Name", "")] = float(values[0])
            elif field.get("type") == "String" and field.get("format", "ascii") == "ascii":
                # The numbers of its characters, 0 at the end.
                codes = bytes(int(code) for code in (field.text or "").split())
                texts[field.get("Name", "")] = codes.rstrip(b"\0").decode("utf-8", errors="replace")
        labels = np.zeros(0)
        if with_labels:
            refuse_large(math.prod(cells) * np.dtype(_TYPES[element.attrib["type"]]).itemsize, str(self.path))
            labels = self._decode(element, math.prod(cells))
            if labels.size != math.prod(cells):
                name = element.get("Name")
                raise InputError(f"{self.path}: '{name}' holds {labels.size} values; expected {cells} by the extent.")
            labels = labels.reshape([cells[axis] for axis in axes], order="F")
        return VtiImage(labels=labels, spacing=tuple(spacing[axis] for axis in axes), fields=fields, texts=texts)

    def _axes(self, cells: list[int], dims: int | None) -> list[int]:
        """The axes of the image: all of a volume, without the thin one of an image."""
        thick = [axis for axis in range(3) if cells[axis] > 1]
        if dims == 3 or (dims is None and len(thick) == 3):
            return [0, 1, 2]
        if len(thick) == 3:
            raise InputError(f"{self.path}: holds a volume of {cells} cells; expected one layer by --dims 2.")
        # A row of cells keeps a second axis, the first that there is.
        return sorted([*thick, *(axis for axis in range(3) if axis not in thick)][:2])

    def _choose(self, piece: ET.Element, wanted: str | None) -> tuple[str, ET.Element]:
        found = [
            (section, element)
            for section in ("CellData", "PointData")
            for element in piece.iterfind(f"{section}/DataArray")
            if element.get("NumberOfComponents", "1") in ("0", "1")
        ]
        names = ", ".join(f"{element.get('Name')} ({element.get('type')})" for _, element in found)
        if wanted is not None:
            found = [each for each in found if each[1].get("Name") == wanted]
        else:
            integer = [each for each in found if "Int" in each[1].get("type", "")]
            cells = [each for each in integer if each[0] == "CellData"]
            found = cells or integer or found
        if len(found) != 1:
            problem = f"has no array '{wanted}'" if wanted else f"holds {len(found)} arrays that could be the labels"
            raise InputError(f"{self.path}: {problem}; name one by --array out of: {names}.")
        return found[0]

    def _decode(self, element: ET.Element, count: int) -> NDArray:
        """The numbers of an array that should hold `count`."""
        dtype = np.dtype(self.order + _TYPES[element.attrib["type"]])
        if element.get("format", "ascii") == "ascii":
            return _parsed(element.text or "", dtype)
        if element.get("format") == "appended":
            blocks = _Blocks(self.appended, self.appended_raw, int(element.get("offset", "0")))
        else:
            blocks = _Blocks(memoryview((element.text or "").strip().encode()), False, 0)
        return np.frombuffer(self._bytes(blocks, count * dtype.itemsize), dtype)

    def _bytes(self, blocks: "_Blocks", most: int) -> bytes:
        width = self.count_type.itemsize

        def counts(data: bytes) -> list[int]:
            return [int(number) for number in np.frombuffer(data, self.count_type)]

        if self.compressor is not None and self.compressor not in _UNPACK:
            known = ", ".join(_UNPACK)
            raise InputError(f"{self.path}: is compressed by {self.compressor}; expected none or one of: {known}.")
        first = counts(blocks.read(width))[0]
        if self.compressor is None:
            return blocks.read(width + first)[width:]
        _, size, last, *packed_sizes = counts(blocks.read(width * (3 + first)))
        blocks.skip(width * (3 + first))
        if size * max(first - 1, 0) + last > most:
            raise ValueError(f"{first} blocks of {size} bytes where {most} bytes are expected")
        packed = blocks.read(sum(packed_sizes))
        ends = list(accumulate(packed_sizes, initial=0))
        return b"".join(_UNPACK[self.compressor](packed[a:b], size) for a, b in pairwise(ends))


def _parsed(text: str, dtype: np.dtype) -> NDArray:
    """Numbers of a text, without a Python object for each of them."""
    wide = np.dtype(np.float64 if dtype.kind == "f" else np.uint64 if dtype.kind == "u" else np.int64)
    numbers = np.fromstring(text, wide, sep=" ")
    values = numbers.astype(dtype)
    if dtype.kind != "f" and (values != numbers).any():
        raise ValueError(f"a number does not fit {dtype}")
    return values


@dataclass
class _Blocks:
    data: memoryview
    raw: bool
    position: int

    def read(self, size: int) -> bytes:
        """Returns the next `size` bytes, without moving on."""
        span = size if self.raw else 4 * math.ceil(size / 3)
        if self.position < 0:
            raise ValueError(f"an array begins at byte {self.position}")
        stored = self.data[self.position : self.position + span]
        piece = bytes(stored) if self.raw else base64.b64decode(stored)
        if len(piece) < size:
            raise ValueError(f"{len(piece)} bytes where {size} are stated; the file is truncated")
        return piece[:size]

    def skip(self, size: int) -> None:
        """Moves on by `size` bytes, written as a piece of their own."""
        self.position += size if self.raw else 4 * math.ceil(size / 3)
