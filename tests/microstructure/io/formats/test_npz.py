import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.io.formats.npz import NpzReader, NpzWriter
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions
from microdesign.microstructure.io.readers import describe


def read(path: Path, **options: object) -> Microstructures:
    return Microstructures.concatenate(list(NpzReader().read(path, options=ReadOptions(**options))))


class Trap:
    def __reduce__(self) -> tuple:
        return (pytest.fail, ("a pickle was loaded",))


def test_reads_any_integral_type_in_chunks(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 2, (7, 6, 5))
    for dtype, order in [(bool, "F"), (np.uint8, "C"), (np.int64, "F"), (np.float32, "C")]:
        save = np.savez if order == "C" else np.savez_compressed
        save(tmp_path / "a.npz", x=np.asarray(labels.astype(dtype), order=order))
        parts = list(NpzReader().read(tmp_path / "a.npz", chunk=3))
        assert [len(part) for part in parts] == [3, 3, 1], dtype
        np.testing.assert_array_equal(np.concatenate([part.labels for part in parts]), labels, str(dtype))


def test_the_images_are_the_only_integer_array_or_the_named_one(tmp_path: Path) -> None:
    stream = np.random.default_rng(0)
    labels, other = stream.integers(0, 3, (4, 6, 5)), stream.integers(0, 2, (4, 6, 5))
    np.savez(tmp_path / "a.npz", images=labels, field=stream.random((4, 6, 5)), Ex=np.arange(4.0))
    batch = read(tmp_path / "a.npz")
    np.testing.assert_array_equal(batch.labels, labels)
    assert list(batch.properties) == ["Ex"]
    np.savez(tmp_path / "b.npz", images=labels, other=other)
    np.testing.assert_array_equal(read(tmp_path / "b.npz", array="other").labels, other)
    with pytest.raises(InputError, match=r"several arrays that could be the images; name one by --array out of: image"):
        read(tmp_path / "b.npz")
    with pytest.raises(InputError, match=r"has no array 'x'; expected one of: images \(4, 6, 5\) int64"):
        read(tmp_path / "b.npz", array="x")
    assert describe(tmp_path / "b.npz")["arrays"]["other"] == {"shape": [4, 6, 5], "dtype": "int64"}
    assert describe(tmp_path / "a.npz")["samples"] == 4


def test_one_volume(tmp_path: Path) -> None:
    volume = np.random.default_rng(0).integers(0, 3, (5, 4, 3))
    np.savez(tmp_path / "a.npz", volume)
    assert read(tmp_path / "a.npz").labels.shape == (5, 4, 3)
    np.testing.assert_array_equal(read(tmp_path / "a.npz", dims=3).labels, volume[None])


def test_refuses(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match="is a pickle, which is never loaded"):
        read(path)
    np.savez(path, x=np.array([[Trap()]], dtype=object))
    with pytest.raises(InputError, match="'x' holds pickled Python objects, which are never loaded"):
        read(path)
    np.savez(path, x=np.zeros((2, 3, 4, 5, 6), int))
    with pytest.raises(InputError, match=r"'x': has shape \(2, 3, 4, 5, 6\); expected one image"):
        read(path)
    np.savez(path, x=np.zeros(3, int))
    with pytest.raises(InputError, match=r"'x': has shape \(3,\); expected one image"):
        read(path)
    np.savez(path, x=np.full((3, 3), 0.5))
    with pytest.raises(InputError, match=r"holds 0.5 at index .*; threshold a grey image first"):
        read(path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"is no \.npz archive, or truncated"):
        read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(InputError, match="holds no arrays"):
        read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", "nothing")
    with pytest.raises(InputError, match="'x' is damaged"):
        read(path)


def test_a_cut_array_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((4, 8, 8), np.int64))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", (tmp_path / "x.npy").read_bytes()[:-8])
    with pytest.raises(InputError, match="'x' is damaged: it ends before its last image"):
        read(tmp_path / "a.npz")


def test_a_property_cannot_bear_the_name_of_another_array(tmp_path: Path) -> None:
    batch = Microstructures(labels=np.eye(4, dtype=int)[None], n_phases=2, properties={"labels": np.zeros(1)})
    with pytest.raises(InputError, match="property 'labels' cannot be an array's name"):
        NpzWriter().write(tmp_path / "a.npz", [batch])
    assert not list(tmp_path.iterdir())


def test_packed_bits_are_told_by_the_shape_beside_them(tmp_path: Path) -> None:
    stream = np.random.default_rng(0)
    for shape, options in (((5, 6, 13), ReadOptions(dims=2)), ((4, 6, 13), ReadOptions(dims=3)), ((6, 13), NO_OPTIONS)):
        labels = stream.integers(0, 2, shape).astype(np.uint8)
        packed = np.packbits(labels, axis=-1)
        for order in ("C", "F"):
            np.savez(tmp_path / "a.npz", labels=np.asarray(packed, order=order), shape=np.array(shape))
            parts = list(NpzReader().read(tmp_path / "a.npz", chunk=2, options=options))
            found = np.concatenate([part.labels for part in parts])
            np.testing.assert_array_equal(found, labels if options.dims == 2 else labels[None])
    # Of labels that are none the shape says nothing else than they do.
    np.savez(tmp_path / "a.npz", labels=labels, shape=np.array(labels.shape))
    np.testing.assert_array_equal(read(tmp_path / "a.npz").labels[0], labels)
