"""Files of a few kilobytes that state, or unpack to, far more; and files that name others or have no end."""

import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import h5py
import numpy as np
import tifffile
from PIL import Image

SIDE = 4096
"""Pixels an axis of what the bombs hold: 16 MiB."""
ZEROS = bytes(SIDE)


def _zeros(size: int = SIDE * SIDE) -> bytes:
    packer = zlib.compressobj(9)
    parts = [packer.compress(ZEROS) for _ in range(size // SIDE)]
    return b"".join(parts) + packer.flush()


def _npz(path: Path, shape: tuple[int, ...], name: str = "labels", fortran: bool = False, dtype: str = "|u1") -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("labels.npy", "w") as member:
            if name != "labels":
                np.lib.format.write_array(member, np.eye(4, dtype=np.uint8)[None])
            else:
                _npy_zeros(member, shape, fortran, dtype)
        if name != "labels":
            with archive.open(f"{name}.npy", "w") as member:
                _npy_zeros(member, shape, fortran, dtype)


def _npy_zeros(member: IO[bytes], shape: tuple[int, ...], fortran: bool, dtype: str) -> None:
    header = {"descr": dtype, "fortran_order": fortran, "shape": shape}
    np.lib.format.write_array_header_1_0(member, header)
    for _ in range(int(np.prod(shape)) * np.dtype(dtype).itemsize // SIDE):
        member.write(ZEROS)


def npz_image(path: Path) -> None:
    _npz(path, (SIDE, SIDE))


def npz_by_columns(path: Path) -> None:
    _npz(path, (4, SIDE // 2, SIDE // 2), fortran=True)


def npz_text_beside(path: Path) -> None:
    _npz(path, (1,), "classes", dtype=f"<U{SIDE * SIDE // 4}")


def npz_long_header(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("labels.npy", "w") as member:
        member.write(b"\x93NUMPY\x02\x00" + struct.pack("<I", SIDE * SIDE))
        for _ in range(SIDE):
            member.write(ZEROS)


def npy_sparse(path: Path) -> None:
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<i8", "fortran_order": False, "shape": (SIDE, SIDE)})
        file.truncate(file.tell() + 8 * SIDE * SIDE)


def png(path: Path) -> None:
    Image.fromarray(np.zeros((SIDE, SIDE), np.uint8)).save(path)


def tiff_page(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((SIDE, SIDE), np.uint8), compression="zlib")


def tiff_strip(path: Path) -> None:
    """A page of 16 x 16 pixels whose one strip unpacks to 16 MiB."""
    _tiff(path, 16, 16, _zeros())


def tiff_stated(path: Path) -> None:
    _tiff(path, 2**20, 2**20, b"")


def _tiff(path: Path, width: int, height: int, strip: bytes, follows: int = 0) -> None:
    # Width, height, bits, deflate, 0 is black, place of the strip, samples, its rows, its bytes.
    entries = {256: width, 257: height, 258: 8, 259: 8, 262: 1, 273: 200, 277: 1, 278: height, 279: len(strip)}
    tags = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items())
    head = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + tags + struct.pack("<I", follows)
    path.write_bytes(head.ljust(200, b"\0") + strip)


def vti_stated(path: Path) -> None:
    _vti(path, SIDE, np.array([1, SIDE * SIDE, SIDE * SIDE], np.uint64), _zeros())


def vti_block(path: Path) -> None:
    """Sixteen cells whose block unpacks to 16 MiB."""
    _vti(path, 4, np.array([1, 16, 16], np.uint64), _zeros())


def vti_text(path: Path) -> None:
    path.write_text(_vti_head(SIDE, 'format="ascii">0</DataArray>'))


def vti_entities(path: Path) -> None:
    lines = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 9))
    head = _vti_head(4, 'format="ascii">&a8;</DataArray>').removeprefix('<?xml version="1.0"?>')
    path.write_text(f'<?xml version="1.0"?><!DOCTYPE V [<!ENTITY a0 "0 ">{lines}]>{head}')


def _vti(path: Path, side: int, counts: np.ndarray, packed: bytes) -> None:
    head = _vti_head(side, 'format="appended" offset="0"/>', end="")
    data = counts.tobytes() + np.uint64(len(packed)).tobytes() + packed
    path.write_bytes(f'{head}<AppendedData encoding="raw">_'.encode() + data + b"</AppendedData></VTKFile>")


def _vti_head(side: int, array: str, end: str = "</VTKFile>") -> str:
    return (
        '<?xml version="1.0"?><VTKFile type="ImageData" byte_order="LittleEndian" header_type="UInt64" '
        f'compressor="vtkZLibDataCompressor"><ImageData WholeExtent="0 {side} 0 {side} 0 0"><Piece><CellData>'
        f'<DataArray type="UInt8" Name="phase" {array}</CellData></Piece></ImageData>{end}'
    )


def h5_stated(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("images", (4, SIDE, SIDE), "u1", chunks=(1, 64, 64))


def h5_chunk(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("images", (4, 8, 8), "u1", maxshape=(None, None, None), chunks=(1, SIDE, SIDE))


def h5_packed(path: Path) -> None:
    """A block of 64 x 64 pixels that unpacks to 16 MiB."""
    with h5py.File(path, "w") as file:
        images = file.create_dataset("images", (1, 64, 64), "u1", chunks=(1, 64, 64), compression="gzip")
        images.id.write_direct_chunk((0, 0, 0), _zeros())


def h5_property(path: Path) -> None:
    with h5py.File(path, "w") as file:
        group = file.create_group("GRF")
        group["GRF"] = np.zeros((2, 8, 8), np.uint8)
        group.create_dataset("homogenized_mechanical", (2, 2**20, 5), "f8", chunks=(1, 64, 5))


def dream3d(path: Path) -> None:
    with h5py.File(path, "w") as file:
        geometry = file.create_group("DataContainers/Image/_SIMPL_GEOMETRY")
        geometry["DIMENSIONS"] = np.array([512, 512, 512], np.int64)
        geometry["SPACING"] = np.ones(3, np.float32)
        cells = file.create_group("DataContainers/Image/CellData")
        cells.create_dataset("Phases", (512, 512, 512, 1), "i4", chunks=(1, 64, 64, 1))


def json_index(path: Path) -> None:
    path.mkdir()
    (path / "images.json").write_text("[" * 10**6)


def shard(path: Path) -> None:
    """A data set whose only shard has one row of pixels after another, all the same, and unpacks to 16 MiB."""
    from microdesign.microstructure.data.container import Microstructures
    from microdesign.microstructure.data.dataset import DatasetWriter

    writer = DatasetWriter(path, settings={})
    writer.write_shard("a", Microstructures(labels=np.zeros((64, 1024, 1024), np.uint8), n_phases=3))
    writer.finish()


def h5_blocks_left_out(path: Path) -> None:
    """Images of which the file has none: HDF5 reads zeros."""
    with h5py.File(path, "w") as file:
        file.create_dataset("images", (4096, 64, 64), "u1", chunks=(1, 64, 64))


def npy_hole(path: Path) -> None:
    """A file whose pixels the disk does not have."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (4096, 64, 64)})
        file.truncate(file.tell() + 4096 * 64 * 64)


def one_picture_many_times(path: Path) -> None:
    path.mkdir()
    Image.fromarray(np.zeros((512, 512), np.uint8)).save(path / "a.png")
    index = {"n_phases": 2, "dimension": 2, "samples": [{"image": "a.png"}] * 1000}
    (path / "images.json").write_text(json.dumps(index))


INFLATED: dict[str, Callable[[Path], None]] = {
    "left-out.h5": h5_blocks_left_out,
    "hole.npy": npy_hole,
    "pictures": one_picture_many_times,
}
"""What makes each set of small images that is far more than its files, by the file's or folder's name."""

BOMBS: dict[str, Callable[[Path], None]] = {
    "image.npz": npz_image, "columns.npz": npz_by_columns, "text.npz": npz_text_beside, "header.npz": npz_long_header,
    "sparse.npy": npy_sparse, "a.png": png, "page.tif": tiff_page, "strip.tif": tiff_strip, "stated.tif": tiff_stated,
    "stated.vti": vti_stated, "block.vti": vti_block, "text.vti": vti_text, "entities.vti": vti_entities,
    "stated.h5": h5_stated, "chunk.h5": h5_chunk, "packed.h5": h5_packed, "property.h5": h5_property,
    "a.dream3d": dream3d, "index": json_index, "dataset": shard,
}  # fmt: skip
"""What makes each bomb, by the file's or folder's name."""


def tiff_circle(path: Path) -> None:
    _tiff(path, 16, 16, zlib.compress(bytes(256)), follows=8)


def tiff_two_circle(path: Path) -> None:
    """Two pages that follow each other."""
    with tifffile.TiffWriter(path) as writer:
        for _ in range(3):
            writer.write(np.zeros((16, 16), np.uint8), metadata=None)
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        last, second = file.pages[2].offset, file.pages[1].offset
    tags = struct.unpack("<H", data[last : last + 2])[0]
    data[last + 2 + 12 * tags : last + 6 + 12 * tags] = struct.pack("<I", second)
    path.write_bytes(data)


def h5_external_storage(path: Path, secret: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("images", (1, 4, 4), "u1", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])


def h5_external_link(path: Path, secret: Path) -> None:
    with h5py.File(path, "w") as file:
        file["images"] = h5py.ExternalLink(str(secret), "images")


def h5_hidden_link(path: Path, secret: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_group("a/b")["GRF"] = h5py.ExternalLink(str(secret), "images")
        file["images"] = h5py.SoftLink("/a/b/GRF")


def h5_virtual(path: Path, secret: Path) -> None:
    layout = h5py.VirtualLayout((1, 4, 4), "u1")
    layout[:] = h5py.VirtualSource(str(secret), "images", (1, 4, 4))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("images", layout)


def pictures_outside(name: str) -> Callable[[Path, Path], None]:
    def make(path: Path, secret: Path) -> None:
        path.mkdir()
        link = path / "link.png"
        link.symlink_to(secret)
        stated = {"ABSOLUTE": str(secret), "RELATIVE": f"../{secret.name}", "LINK": "link.png"}[name]
        index = {"n_phases": 2, "dimension": 2, "samples": [{"image": stated}]}
        (path / "images.json").write_text(json.dumps(index))

    return make


FOREIGN: dict[str, Callable[[Path, Path], None]] = {
    "storage.h5": h5_external_storage,
    "link.h5": h5_external_link,
    "hidden.h5": h5_hidden_link,
    "virtual.h5": h5_virtual,
    "absolute": pictures_outside("ABSOLUTE"),
    "relative": pictures_outside("RELATIVE"),
    "linked": pictures_outside("LINK"),
}
"""What makes each file or folder that names another file, which is the second argument."""

SUFFIXES = (".npy", ".npz", ".png", ".tif", ".vti", ".h5", ".dream3d", ".ang", ".ctf", ".h5oina")


def special(folder: Path) -> Iterator[Path]:
    """Makes links to a device and pipes with the names of each format."""
    for suffix in SUFFIXES:
        link, pipe = folder / f"device{suffix}", folder / f"pipe{suffix}"
        link.symlink_to("/dev/zero")
        os.mkfifo(pipe)
        yield from (link, pipe)
    for name in ("dataset.json", "images.json", "000000.png"):
        inside = folder / f"folder-{name.partition('.')[0]}"
        inside.mkdir()
        (inside / name).symlink_to("/dev/zero")
        yield inside
