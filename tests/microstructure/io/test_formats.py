"""The contract of every format: what its writer writes, its reader reads back, in chunks, with what it stores.

A new format is covered by adding one line to `FORMATS`.
"""

import errno
import json
import os
import resource
import signal
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from microdesign.core.errors import InputError, StorageError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.places import Place
from microdesign.microstructure.data.resampling import resize
from microdesign.microstructure.io.convert import convert
from microdesign.microstructure.io.options import FLAGS, ReadOptions
from microdesign.microstructure.io.protocol import FIELDS
from microdesign.microstructure.io.readers import READERS, describe, find_reader, load_reader, read, read_images
from microdesign.microstructure.io.summary import format_tree
from microdesign.microstructure.io.writers import WRITERS, find_writer, load_writer, write


class Format(NamedTuple):
    writer: str
    reader: str
    file: str


FORMATS = [
    Format("npy", "npy", "a.npy"),
    Format("npz", "npz", "a.npz"),
    Format("tiff", "tiff", "a.tiff"),
    Format("png", "pictures", "pictures"),
    Format("vti", "vti", "a.vti"),
    Format("micro2d", "hdf5", "a.h5"),
    Format("dataset", "dataset", "folder"),
]


def made(dims: int = 2, n: int = 5) -> Microstructures:
    """Images with something in every field; phase 3 of 4 is in none of them."""
    stream = np.random.default_rng(dims)
    return Microstructures(
        labels=stream.integers(0, 3, (n, *(9, 6, 4)[:dims])),
        n_phases=4,
        classes=[f"class {i // 3}" for i in range(n)],
        generation=[f"made {i}" for i in range(n)],
        properties={"Ex": stream.random(n), "kx": np.array([np.nan, *stream.random(n - 1)])},
        places=[Place(source="a", corner=(i,) * dims, extent=(9, 6, 4)[:dims], split="test") for i in range(n)],
        periodic=False,
        pixel_size=0.25,
    )


def contents(path: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in [path, *path.rglob("*")] if file.is_file()}


def check_stored(back: Microstructures, batch: Microstructures, stores: tuple[str, ...], case: str) -> None:
    np.testing.assert_array_equal(back.labels, batch.labels, case)
    assert back.n_phases == (batch.n_phases if "n_phases" in stores else 3), case
    for field in set(stores) - {"properties", "pixel_size"}:
        assert getattr(back, field) == getattr(batch, field), f"{case}: {field}"
    assert back.pixel_size == pytest.approx(batch.pixel_size if "pixel_size" in stores else 1), case
    assert set(back.properties) >= set(batch.properties) if "properties" in stores else not back.properties, case
    for name, values in back.properties.items():
        # MICRO2D's tables have a column for each of their properties.
        expected = batch.properties.get(name, np.full(len(batch), np.nan))
        np.testing.assert_array_equal(values, expected, f"{case}: {name}")


def test_every_reader_and_writer_is_listed() -> None:
    assert {each.writer for each in FORMATS} == set(WRITERS)
    # EBSD scans are read alone: an image has no orientations to write.
    assert {each.reader for each in FORMATS} | {"ebsd"} == set(READERS)
    for name in WRITERS:
        assert set(load_writer(name).stores) <= set(FIELDS), name
    for name in READERS:
        assert set(load_reader(name).takes) <= set(ReadOptions.__dataclass_fields__), name


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    for writer, reader, file in FORMATS:
        stores = load_writer(writer).stores
        for dims in (2, 3):
            case, folder, batch = f"{writer} {dims}-D", tmp_path / writer / str(dims), made(dims)
            path = write(folder / file, [batch.select(slice(0, 3)), batch.select(slice(3, 5))], writer)
            assert find_reader(path) is load_reader(reader), case
            check_stored(read(path), batch, stores, case)
            chunks = list(read_images(path, chunk=2))
            assert max(map(len, chunks)) <= 2, case
            np.testing.assert_array_equal(np.concatenate([chunk.labels for chunk in chunks]), batch.labels, case)
            # Ways that need no name of the format: by the suffix, by the content.
            assert write(folder / file, batch, None if Path(file).suffix else writer) == path, case
            # One sample keeps its axes.
            one = write(folder / "one" / file, batch.select([1]), writer)
            assert one == folder / "one" / file, case
            np.testing.assert_array_equal(read(one).labels, batch.labels[1:2], case)
            assert not list(folder.rglob(".*")), case


def test_descriptions_are_json_and_text(tmp_path: Path) -> None:
    for writer, _, file in FORMATS:
        path = write(tmp_path / writer / file, made(), writer)
        description = describe(path)
        assert list(description)[:2] == ["path", "format"], writer
        assert json.loads(json.dumps(description)) == description, writer
        assert str(path) in format_tree(description), writer


def test_options_of_reading(tmp_path: Path) -> None:
    for writer, reader, file in FORMATS:
        path, takes = write(tmp_path / writer / file, made(), writer), load_reader(reader).takes
        if "n_phases" in takes:
            assert read(path, n_phases=7).n_phases == 7, writer
            with pytest.raises(InputError, match=r"labels\[.* = 2; expected 0 to 1 for 2 phases"):
                read(path, n_phases=2)
        for option in set(FLAGS) - {"periodic", "pixel_size", "section"} - set(takes):
            value = {"array": "x", "shape": (9, 6), "dims": 2, "n_phases": 4, "values": (0, 1), "threshold": "1"}[
                option
            ]
            with pytest.raises(InputError, match=f"{path}: --.* has no meaning for .*; leave it out"):
                read(path, **{option: value})
        for periodic in (True, False):
            assert read(path, periodic=periodic).periodic is periodic, writer


def test_conversion_from_and_to_every_format(tmp_path: Path) -> None:
    for dims in (2, 3):
        batch = made(dims)
        source = write(tmp_path / f"source{dims}", batch)
        for writer, _, file in FORMATS:
            case, stores = f"{writer} {dims}-D", load_writer(writer).stores
            done = convert(source, tmp_path / f"{writer}{dims}" / file, writer)
            assert (done["format"], done["images"], done["phases"], done["unchanged"]) == (writer, 5, 4, False), case
            assert done["shape"] == [9, 6, 4][:dims], case
            check_stored(read(done["to"]), batch, stores, case)
            lost = {"properties.Ex", "properties.kx"} if "properties" not in stores else set()
            assert set(done["left_out"]) == lost | set(FIELDS) - set(stores) - {"properties"}, case
            again = convert(done["to"], tmp_path / f"again-{writer}{dims}")
            check_stored(read(again["to"]), replace(batch, n_phases=read(done["to"]).n_phases), stores, case)


def test_resized_on_the_way(tmp_path: Path) -> None:
    for dims in (2, 3):
        batch = replace(made(dims), labels=np.random.default_rng(0).integers(0, 3, (5, *[9] * dims)))
        source = write(tmp_path / f"source{dims}", batch)
        for writer, _, file in FORMATS:
            case, out = f"{writer} {dims}-D", tmp_path / f"{writer}{dims}" / file
            done = convert(source, out, writer, resize_to=6)
            assert (done["images"], done["shape"]) == (5, [6] * dims), case
            assert {"properties.Ex", "properties.kx"} <= set(done["left_out"]), case
            check_stored(read(done["to"]), resize(batch, 6), load_writer(writer).stores, case)
            assert convert(source, out, writer, resize_to=6) == done | {"unchanged": True}, case


def test_what_is_there_is_never_replaced(tmp_path: Path) -> None:
    batch = made()
    for writer, _, file in FORMATS:
        path = write(tmp_path / writer / file, batch, writer)
        before = contents(path)
        assert write(tmp_path / writer / file, batch, writer) == path, writer
        with pytest.raises(InputError, match="is there already with other content; remove it or name another place"):
            write(tmp_path / writer / file, batch.select([1, 0, 2, 3, 4]), writer)
        assert contents(path) == before, writer
        assert not list(tmp_path.rglob(".*")), writer


def check_nothing_is_left(tmp_path: Path, caught: pytest.ExceptionInfo, case: str) -> None:
    """The message names the user's place and not the folder beside it, which is gone."""
    assert str(tmp_path / "out") in str(caught.value), case
    assert "/." not in str(caught.value), case
    assert not list((tmp_path / "out").iterdir()), case


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for writer, _, file in FORMATS:
        with pytest.raises(StorageError, match=r"cannot be written \(No space left on device\)") as caught:
            write(tmp_path / "out" / file, made(), writer)
        check_nothing_is_left(tmp_path, caught, writer)


# HDF5 also complains when it drops the file that it could not close.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_write_that_the_system_refuses(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 256, (3, 64, 64))
    batch = Microstructures(labels=labels, n_phases=256)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1][1]))
    try:
        for writer, _, file in FORMATS:
            with pytest.raises(StorageError, match="cannot be written") as caught:
                write(tmp_path / "out" / file, batch, writer)
            check_nothing_is_left(tmp_path, caught, writer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before[1])
        signal.signal(signal.SIGXFSZ, before[0])


def test_bad_content_is_named(tmp_path: Path) -> None:
    """Nothing, text, and half of every file: an error that names the file, and never another kind of error."""
    for writer, _, file in FORMATS:
        path = write(tmp_path / writer / file, replace(made(), labels=made().labels.repeat(40, 1)), writer)
        for each, whole in contents(path).items():
            for damaged in (b"", b"text", whole[: len(whole) // 2]):
                each.write_bytes(damaged)
                with pytest.raises(InputError) as caught:
                    read(path)
                assert str(path) in str(caught.value), f"{each}: {damaged[:10]!r}"
            each.write_bytes(whole)
        assert len(read(path)) == 5, writer


def test_the_writer_by_name_and_suffix() -> None:
    suffixes = {".npy": "npy", ".NPZ": "npz", ".tif": "tiff", ".vti": "vti", ".hdf5": "micro2d", "": "dataset"}
    assert {suffix: find_writer(f"a{suffix}")[0] for suffix in suffixes} == suffixes
    assert find_writer("folder.v2", "png")[0] == "png"
    assert find_writer("folder", "vti")[0] == "vti"
    for path, name, message in [
        ("a.png", "png", r"a\.png: pictures are written to a folder; leave out the suffix"),
        ("a.png", None, r"a\.png: pictures are written to a folder; leave out the suffix"),
        ("a.npz", "vti", r"the suffix '\.npz' does not fit the format 'vti'; expected \.vti"),
        ("a.npz", "npy", r"the suffix '\.npz' does not fit the format 'npy'; expected \.npy"),
        ("a.doc", None, r"a\.doc: the suffix '\.doc' is not known; expected \.npy, \.npz"),
        ("a", "doc", "format 'doc' is unknown; expected one of: npy, npz"),
    ]:
        with pytest.raises(InputError, match=message):
            find_writer(path, name)


def test_the_size_of_a_pixel_is_kept_with_its_unit_and_its_edges(tmp_path: Path) -> None:
    for writer, _, file in FORMATS:
        if writer == "npy":  # without a place for it
            continue
        for number, fields in enumerate(({"length_unit": "um"}, {"aspect": (1, 4)}, {"length_unit": "micron"})):
            batch = replace(made(), pixel_size=0.5, **fields)
            path = write(tmp_path / f"{writer}{number}" / file, batch, writer)
            back = read(path)
            assert back.physical == batch.physical, (writer, fields)
            assert back.spacing == (0.5, 2.0 if "aspect" in fields else 0.5), writer
            assert describe(path)["path"] == str(path)
            left_out = convert(path, tmp_path / f"{writer}{number}.npy")["left_out"]
            assert "pixel_size" in left_out, "an array has no place for it"
