import resource
from pathlib import Path

import h5py
import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.generators.registry import generate
from microdesign.microstructure.io.formats.hdf5.micro2d import (
    MECHANICAL,
    THERMAL,
    instructions,
    list_classes,
    read_micro2d,
    write_micro2d,
)

PAIRS = ("E 1 and 10", "E 10 and 1")


def labelled(family: str, count: int, pairs: int) -> Microstructures:
    batch = generate(family, count, (16, 16))
    names = [name if pairs == 1 else f"{name}.{p}" for p in range(pairs) for name in (*MECHANICAL, *THERMAL)]
    stream = np.random.default_rng(count)
    return Microstructures(
        labels=batch.labels,
        n_phases=2,
        classes=batch.classes,
        generation=batch.generation,
        properties={name: stream.random(count) for name in names},
    )


def test_round_trip_in_batches(tmp_path: Path) -> None:
    for pairs in (1, 2):
        check_round_trip(tmp_path / f"{pairs}.h5", pairs)


def check_round_trip(path: Path, pairs: int) -> None:
    first, second = labelled("GRF", 7, pairs), labelled("VoronoiMedium", 4, pairs)
    mixed = Microstructures.concatenate([second, first.select(slice(5, 7))])
    write_micro2d(path, iter([first.select(slice(0, 5)), mixed]), PAIRS[:pairs])
    assert list_classes(path) == {"GRF": 7, "VoronoiMedium": 4}
    parts = list(read_micro2d(path, chunk=3))
    assert [len(part) for part in parts] == [3, 3, 1, 3, 1]
    back, expected = Microstructures.concatenate(parts), Microstructures.concatenate([first, second])
    np.testing.assert_array_equal(back.labels, expected.labels)
    assert (back.classes, back.generation) == (expected.classes, expected.generation)
    assert set(back.properties) == set(expected.properties)
    for name, values in expected.properties.items():
        np.testing.assert_array_equal(back.properties[name], values)


def test_the_file_is_as_its_users_expect(tmp_path: Path) -> None:
    batch = labelled("GRF", 5, 2)
    write_micro2d(tmp_path / "a.h5", [batch], PAIRS)
    with h5py.File(tmp_path / "a.h5") as f:
        assert f["GRF"]["GRF"].shape == (5, 16, 16)
        assert f["GRF"]["GRF"].dtype == np.uint8
        assert f["GRF"]["GRF"].compression == "gzip"
        assert f["GRF"]["GRF - labels"][0].decode() == batch.generation[0]
        assert f["GRF"]["homogenized_mechanical"].shape == (5, 2, 5)
        assert f["GRF"]["homogenized_thermal"].shape == (5, 2, 2)
        np.testing.assert_array_equal(f["GRF"]["homogenized_mechanical"][:, 1, 2], batch.properties["Ey.1"])
    texts = instructions(tmp_path / "a.h5")
    assert set(texts) == {"GRF/homogenized_mechanical", "GRF/homogenized_thermal"}
    assert "0: Ex, 1: vxy, 2: Ey, 3: vyx, 4: Gxy" in texts["GRF/homogenized_mechanical"]
    assert "pair 1 - E 10 and 1" in texts["GRF/homogenized_thermal"]


def test_one_pair_and_some_classes(tmp_path: Path) -> None:
    batch = labelled("GRF", 5, 2)
    write_micro2d(tmp_path / "a.h5", [batch, labelled("AngEllipse", 2, 2)], PAIRS)
    (part,) = read_micro2d(tmp_path / "a.h5", classes=["GRF"], pair=1)
    assert set(part.properties) == {*MECHANICAL, *THERMAL}
    np.testing.assert_array_equal(part.properties["kx"], batch.properties["kx.1"])
    with pytest.raises(InputError, match="has no pair 2; expected 0 to 1"):
        list(read_micro2d(tmp_path / "a.h5", pair=2))
    with pytest.raises(InputError, match="has no class 'NBSA'; expected one of: AngEllipse, GRF"):
        list(read_micro2d(tmp_path / "a.h5", classes=["NBSA"]))


def test_instructions_give_the_order(tmp_path: Path) -> None:
    write_micro2d(tmp_path / "a.h5", [labelled("GRF", 3, 1)])
    for text in (
        "Order is [Ex, Ey, Gxy, vxy, vyx].",
        "0: Ex, 1: Ey, 2: Gxy; 3 = vxy, 4 = vyx",
        b"(Ex, Ey, Gxy, vxy, vyx)",
    ):
        with h5py.File(tmp_path / "a.h5", "r+") as f:
            table = f["GRF"]["homogenized_mechanical"]
            table.attrs["INSTRUCTIONS"] = text
            values = table[:, 0]
        (part,) = read_micro2d(tmp_path / "a.h5")
        for i, name in enumerate(["Ex", "Ey", "Gxy", "vxy", "vyx"]):
            np.testing.assert_array_equal(part.properties[name], values[:, i], str(text))


def test_more_phases_and_missing_properties(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 4, (3, 8, 6))
    batch = Microstructures(labels=labels, n_phases=4, properties={"Ex": np.arange(3.0), "mine": np.ones(3)})
    write_micro2d(tmp_path / "a.h5", [batch])
    (part,) = read_micro2d(tmp_path / "a.h5")
    assert part.n_phases == 4
    assert part.classes == ("unnamed",) * 3
    np.testing.assert_array_equal(part.labels, labels)
    np.testing.assert_array_equal(part.properties["Ex"], np.arange(3.0))
    assert np.isnan(part.properties["Gxy"]).all()
    assert "kx" not in part.properties


def test_streams_wide_integers_in_bounded_memory(tmp_path: Path) -> None:
    n, size = 4000, 256
    with h5py.File(tmp_path / "wide.h5", "w") as f:
        # 2 GB if loaded; chunks that were never written cost no disk.
        images = f.create_group("GRF").create_dataset("GRF", (n, size, size), dtype=np.int64, chunks=(16, size, size))
        images[:16] = np.indices((16, size, size)).sum(0) % 2
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count = ones = 0
    for part in read_micro2d(tmp_path / "wide.h5"):
        assert part.labels.dtype == np.uint8
        count += len(part)
        ones += int(part.labels.sum(dtype=np.int64))
    assert (count, ones) == (n, 16 * size * size // 2)
    growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert growth < 400e6


def broken(tmp_path: Path, how: str) -> Path:
    path = tmp_path / "broken.h5"
    write_micro2d(path, [labelled("GRF", 40, 1)])
    if how == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return path
    if how == "text":
        path.write_text("no HDF5 at all")
        return path
    with h5py.File(path, "r+") as f:
        group = f["GRF"]
        if how == "no groups":
            del f["GRF"]
        elif how == "empty group":
            f.create_group("Empty")
        elif how == "no images":
            del group["GRF"]
        elif how == "flat images":
            del group["GRF"]
            group["GRF"] = np.zeros((40, 256), np.uint8)
        elif how == "labels outside":
            group["GRF"][3, 2, 1] = 2
        elif how == "not integral":
            del group["GRF"]
            group["GRF"] = np.full((40, 16, 16), 0.5)
        elif how == "mechanical":
            del group["homogenized_mechanical"]
            group["homogenized_mechanical"] = np.zeros((40, 6, 4))
        elif how == "thermal":
            del group["homogenized_thermal"]
            group["homogenized_thermal"] = np.zeros((39, 6, 2))
        elif how == "texts":
            del group["GRF - labels"]
            group["GRF - labels"] = np.zeros(3)
    return path


def test_refuses(tmp_path: Path) -> None:
    for how, message in [
        ("truncated", "is no HDF5 file, or truncated"),
        ("text", "is no HDF5 file, or truncated"),
        ("no groups", "holds no groups; expected one group per class"),
        ("empty group", "the group 'Empty' is empty; expected the images in 'Empty/Empty'"),
        ("no images", r"the data set 'GRF/GRF' is missing \(found: GRF - labels, homogenized_mechanical"),
        ("flat images", r"'GRF/GRF' has shape \(40, 256\); expected \(N, X, Y\)"),
        ("labels outside", r"'GRF/GRF' from image 0 on: labels\[3, 2, 1\] = 2; expected 0 to 1 for 2 phases"),
        ("not integral", r"holds 0.5 at index \[0, 0, 0\]; expected integer phase labels"),
        ("mechanical", r"'GRF/homogenized_mechanical' has shape \(40, 6, 4\); expected \(40, pairs of materials, 5\)"),
        ("thermal", r"'GRF/homogenized_thermal' has shape \(39, 6, 2\); expected \(40, pairs of materials, 2\)"),
        ("texts", r"'GRF/GRF - labels' has shape \(3,\); expected \(40,\)"),
    ]:
        path = broken(tmp_path, how)
        with pytest.raises(InputError, match=message) as caught:
            list(read_micro2d(path))
        assert str(path) in str(caught.value), how


def test_damage_inside_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_micro2d(path, [labelled("GRF", 40, 1)])
    with h5py.File(path) as f:
        place = f["GRF"]["GRF"].id.get_chunk_info(1)
    data = bytearray(path.read_bytes())
    data[place.byte_offset : place.byte_offset + place.size] = b"\xff" * place.size
    path.write_bytes(data)
    with pytest.raises(InputError, match="'GRF/GRF' is damaged"):
        list(read_micro2d(path))


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="got no images to write"):
        write_micro2d(tmp_path / "a.h5", [])
    with pytest.raises(InputError, match="a batch has shape, phases, properties"):
        write_micro2d(tmp_path / "a.h5", [generate("GRF", 2, (16, 16)), generate("GRF", 2, (17, 17))])
    with pytest.raises(InputError, match="class 'a/b' holds a '/'"):
        write_micro2d(
            tmp_path / "a.h5", [Microstructures(labels=np.eye(4, dtype=int)[None], n_phases=2, classes=("a/b",))]
        )
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="does not exist; expected an HDF5 file"):
        list(read_micro2d(tmp_path / "absent.h5"))
