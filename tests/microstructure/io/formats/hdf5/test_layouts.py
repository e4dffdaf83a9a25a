import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.io.formats.hdf5.layouts import find_layout
from microdesign.microstructure.io.formats.hdf5.reader import Hdf5Reader
from microdesign.microstructure.io.options import ReadOptions
from microdesign.microstructure.io.readers import describe, find_reader, read_images


def read(path: Path, **options: object) -> Microstructures:
    return Microstructures.concatenate(list(Hdf5Reader().read(path, options=ReadOptions(**options))))


def stored(path: Path, **arrays: object) -> Path:
    with h5py.File(path, "w") as f:
        for name, array in arrays.items():
            f[name] = array
    return path


@pytest.fixture
def stream() -> np.random.Generator:
    return np.random.default_rng(0)


def test_one_data_set_per_sample(tmp_path: Path, stream: np.random.Generator) -> None:
    for dims, dtype in [(2, "u1"), (2, "f4"), (3, "i8")]:
        labels = stream.integers(0, 3, (11, 6, 5, 4)[: dims + 1])
        with h5py.File(tmp_path / "a.h5", "w") as f:
            for i, image in enumerate(labels):
                f[f"sample_{i}"] = image.astype(dtype)
                f[f"sample_{i}"].attrs.update({"vol_frac": i / 11, "solver": "spectral", "grid": [1, 2]})
                if i != 3:
                    f[f"sample_{i}"].attrs["tortuosity"] = np.array([float(i)])
        assert find_layout(tmp_path / "a.h5").kind == "one data set per sample"
        parts = list(read_images(tmp_path / "a.h5", chunk=4))
        assert [len(part) for part in parts] == [4, 4, 3]
        batch = Microstructures.concatenate(parts)
        np.testing.assert_array_equal(batch.labels, labels, dtype)
        np.testing.assert_array_equal(batch.properties["vol_frac"], np.arange(11) / 11)
        np.testing.assert_array_equal(batch.properties["tortuosity"], [0, 1, 2, np.nan, *range(4, 11)])
        assert batch.generation[0] == '{"solver": "spectral"}'
        assert (batch.n_phases, len(batch.properties)) == (3, 2)
        tree = describe(tmp_path / "a.h5")
        assert tree["layout"] == "one data set per sample"
        assert tree["tree"]["sample_3"]["attributes"]["grid"] == [1, 2]


def test_samples_in_groups_by_class_and_with_a_channel(tmp_path: Path, stream: np.random.Generator) -> None:
    labels = stream.integers(0, 2, (4, 4, 4, 4))
    with h5py.File(tmp_path / "a.h5", "w") as f:
        for i, image in enumerate(labels):
            name = f"{'foam' if i < 2 else 'weave'}/{i}"
            f[name] = image[None] if i % 2 else image[..., None]
            f[name].attrs["blend"] = 1.5
    batch = read(tmp_path / "a.h5")
    assert batch.classes == ("foam", "foam", "weave", "weave")
    np.testing.assert_array_equal(batch.labels, labels)


def test_samples_without_attributes_or_flat(tmp_path: Path, stream: np.random.Generator) -> None:
    labels = stream.integers(0, 2, (3, 5, 5, 5))
    arrays = {f"{i}": image for i, image in enumerate(labels)}
    np.testing.assert_array_equal(read(stored(tmp_path / "a.h5", **arrays)).labels, labels)
    flat = {name: image.ravel() for name, image in arrays.items()}
    np.testing.assert_array_equal(read(stored(tmp_path / "b.h5", **flat), shape=(5, 5, 5)).labels, labels)
    # Images of unequal sides may as well be two stacks: the user says which.
    oblong = {"train": labels[:, :4], "test": labels[:, :4]}
    with pytest.raises(InputError, match=r"several arrays that could be the images; name one by --array out of: test"):
        read(stored(tmp_path / "c.h5", **oblong))
    np.testing.assert_array_equal(read(tmp_path / "c.h5", array="train").labels, labels[:, :4])


def test_flat_rows(tmp_path: Path, stream: np.random.Generator) -> None:
    labels = stream.integers(0, 2, (7, 101, 101))
    path = stored(tmp_path / "a.h5", images=labels.reshape(7, -1), energy=stream.random(7), time=np.arange(7))
    assert find_layout(path).kind == "flat rows of pixels"
    parts = list(read_images(path, chunk=3))
    assert [len(part) for part in parts] == [3, 3, 1]
    batch = Microstructures.concatenate(parts)
    np.testing.assert_array_equal(batch.labels, labels)
    assert list(batch.properties) == ["energy"]
    assert describe(path)["tree"]["images"] == {"shape": [7, 101 * 101], "dtype": "int64"}


def test_flat_rows_of_any_shape(tmp_path: Path, stream: np.random.Generator) -> None:
    labels = stream.integers(0, 3, (7, 60))
    path = stored(tmp_path / "a.h5", images=labels, energy=stream.random(7))
    with pytest.raises(InputError, match="holds rows of 60 pixels, which are no square and no cube; give the shape by"):
        read(path)
    np.testing.assert_array_equal(read(path, shape=(10, 6)).labels, labels.reshape(7, 10, 6))
    np.testing.assert_array_equal(read(path, shape=(3, 4, 5)).labels, labels.reshape(7, 3, 4, 5))
    with pytest.raises(InputError, match="60 pixels a row; expected one image of --shape 9,7, or rows of 63 pixels"):
        read(path, shape=(9, 7))
    cubes = stored(tmp_path / "b.h5", images=stream.integers(0, 3, (2, 125)), energy=stream.random(2))
    assert read(cubes).shape == (5, 5, 5)
    either = stored(tmp_path / "c.h5", images=stream.integers(0, 3, (2, 4096)), energy=stream.random(2))
    with pytest.raises(InputError, match=r"which fit \(64, 64\) and \(16, 16, 16\); give the shape"):
        read(either)
    assert read(either, dims=3).shape == (16, 16, 16)
    assert read(either, dims=2).shape == (64, 64)


def test_two_axes_are_one_image_or_flat_rows(tmp_path: Path, stream: np.random.Generator) -> None:
    """Neither reading is taken by chance: an image of 100 x 100 is no 100 images of 10 x 10."""
    path = tmp_path / "a.h5"
    for shape, flat in [((100, 100), (10, 10)), ((64, 64), (8, 8)), ((48, 60), (10, 6)), ((125, 125), (5, 5, 5))]:
        image = stream.integers(0, 3, shape)
        stored(path, image=image)
        assert find_layout(path).kind == "one image", shape
        np.testing.assert_array_equal(read(path).labels, image[None], str(shape))
        np.testing.assert_array_equal(read(path, shape=shape).labels, image[None], str(shape))
        np.testing.assert_array_equal(read(path, shape=flat).labels, image.reshape(-1, *flat), str(shape))
    for shape, flat in [((48, 100), (10, 10)), ((2, 49), (7, 7)), ((7, 125), (5, 5, 5))]:
        image = stream.integers(0, 3, shape)
        options = rf"--shape {shape[0]},{shape[1]} or --shape {','.join(map(str, flat))}"
        # Coordinates of both axes tell nothing, nor does a netCDF file's own attributes.
        for more in ({}, {"y": stream.random(shape[0]), "x": stream.random(shape[1])}):
            with pytest.raises(
                InputError, match=rf"{path}: 'image' has shape .*: one image, or .*; say which by {options}"
            ):
                read(stored(path, image=image, **more))
            np.testing.assert_array_equal(read(path, shape=shape).labels, image[None], str(shape))
            np.testing.assert_array_equal(read(path, shape=flat).labels, image.reshape(-1, *flat), str(shape))
        stored(path, image=image, energy=stream.random(shape[0]))
        np.testing.assert_array_equal(read(path).labels, image.reshape(-1, *flat), str(shape))
    # As many rows as pixels and a number for each row: both readings fit.
    with pytest.raises(
        InputError, match="one image, or 64 images in flat rows of 64 pixels; say which by --shape 64,64 or"
    ):
        read(stored(path, image=stream.integers(0, 3, (64, 64)), energy=stream.random(64)))


def test_axes_of_one_pixel_are_channels(tmp_path: Path, stream: np.random.Generator) -> None:
    image = stream.integers(0, 3, (4, 9, 6, 5))
    for array, expected in [
        (image[0, ..., :1], image[:1, ..., 0]),
        (image[:1, ..., 0], image[:1, ..., 0]),
        (image[..., :1], image[..., 0]),
        (image[:, None, ..., 0], image[..., 0]),
        (image[..., None], image),
        (image[:, None], image),
    ]:
        np.testing.assert_array_equal(read(stored(tmp_path / "a.h5", x=array)).labels, expected, str(array.shape))
    path = stored(tmp_path / "b.h5", x=image[0, ..., :1])
    np.testing.assert_array_equal(read(path, dims=3).labels, image[:1, ..., :1])
    np.testing.assert_array_equal(read(path, shape=(6, 1)).labels, image[0, ..., :1])
    with pytest.raises(InputError, match="volumes one voxel thick, or one volume with a channel"):
        read(stored(tmp_path / "c.h5", x=image[..., :1]), dims=3)


def test_attributes_of_file_formats_are_no_properties(tmp_path: Path, stream: np.random.Generator) -> None:
    labels = stream.integers(0, 3, (6, 9, 8))
    own = {"_FillValue": 255, "MATLAB_int_decode": 1, "pixel_size": 0.5, "element_size_um": 0.1, "scale_factor": 1.0}
    for name in (
        *own,
        "IMAGE_VERSION",
        "_Netcdf4Dimid",
        "missing_value",
        "PixelSizeX",
        "voxel size",
        "resolution",
        "dx",
    ):
        path = stored(tmp_path / "a.h5", stack=labels)
        with h5py.File(path, "r+") as file:
            file["stack"].attrs[name] = own.get(name, 2.5)
        for dims, expected in ((None, labels), (2, labels), (3, labels[None])):
            batch = read(path, dims=dims)
            np.testing.assert_array_equal(batch.labels, expected, f"{name} {dims}")
            assert dict(batch.properties) == {}, name
        # Nor of several data sets, one per sample.
        with h5py.File(
            stored(tmp_path / "b.h5", **{f"s{i}": each for i, each in enumerate(labels[:, :8])}), "r+"
        ) as file:
            for i, each in enumerate(file.values()):
                each.attrs.update({name: own.get(name, 2.5), "vol_frac": i / 10})
        assert list(read(tmp_path / "b.h5").properties) == ["vol_frac"], name
    # A number that may be a property: the user says what three axes are.
    path = stored(tmp_path / "c.h5", stack=labels)
    with h5py.File(path, "r+") as file:
        file["stack"].attrs["vol_frac"] = 0.5
    with pytest.raises(InputError, match=r"a stack of 6 images, or one volume .* say which by --dims 2 or --dims 3"):
        read(path)
    assert read(path, dims=2).labels.shape == (6, 9, 8)
    # Of one image, what the catalogue of properties names.
    with h5py.File(stored(tmp_path / "d.h5", image=labels[0]), "r+") as file:
        file["image"].attrs.update({"Ex": 3.5, "gain": 2.0})
    assert {name: values.tolist() for name, values in read(tmp_path / "d.h5").properties.items()} == {"Ex": [3.5]}


def test_coordinates_of_a_netcdf_file_are_no_images_nor_properties(tmp_path: Path, stream: np.random.Generator) -> None:
    labels = stream.integers(0, 3, (6, 9, 8))
    with h5py.File(tmp_path / "a.nc", "w") as file:
        file["phase"] = labels
        for axis, (name, length) in enumerate(zip(("time", "y", "x"), labels.shape, strict=True)):
            file[name] = np.arange(length, dtype=float)
            file[name].make_scale(name)
            file["phase"].dims[axis].attach_scale(file[name])
        file["phase"].attrs["_FillValue"] = np.int32(-1)
    batch = read(tmp_path / "a.nc")
    np.testing.assert_array_equal(batch.labels, labels)
    assert dict(batch.properties) == {}


def test_one_array_of_images(tmp_path: Path, stream: np.random.Generator) -> None:
    images, volumes = stream.integers(0, 3, (5, 6, 7)), stream.integers(0, 3, (3, 4, 5, 6))
    np.testing.assert_array_equal(read(stored(tmp_path / "a.h5", x=images)).labels, images)
    np.testing.assert_array_equal(read(tmp_path / "a.h5", dims=3).labels, images[None])
    np.testing.assert_array_equal(read(stored(tmp_path / "b.h5", x=volumes)).labels, volumes)
    both = stored(tmp_path / "c.h5", x=images, y=volumes, z=stream.random((5, 6, 7)))
    with pytest.raises(InputError, match=r"several arrays .* out of: x \(5, 6, 7\), y \(3, 4, 5, 6\)"):
        read(both)
    assert "several arrays" in describe(both)["layout"]
    np.testing.assert_array_equal(read(both, array="y").labels, volumes)
    with pytest.raises(InputError, match="has no data set 'w'; expected one of: x, y, z"):
        read(both, array="w")


def test_layouts_are_told_by_content(tmp_path: Path, stream: np.random.Generator) -> None:
    path = stored(tmp_path / "data.bin", images=stream.integers(0, 2, (2, 25)), energy=stream.random(2))
    assert find_reader(path).read(path, None)
    np.testing.assert_array_equal(next(read_images(path)).labels.shape, (2, 5, 5))
    with h5py.File(tmp_path / "m.h5", "w") as f:
        f["GRF/GRF"] = stream.integers(0, 2, (3, 4, 4))
    assert find_layout(tmp_path / "m.h5").kind == describe(tmp_path / "m.h5")["layout"] == "MICRO2D"
    with pytest.raises(InputError, match="--shape has no meaning for a file in MICRO2D's layout"):
        read(tmp_path / "m.h5", shape=(4, 4))
    with h5py.File(tmp_path / "m.h5", "r+") as f:
        f["GRF/GRF"][0, 0, 0] = 3
    with pytest.raises(InputError, match="expected 0 to 1 for 2 phases"):
        read(tmp_path / "m.h5")
    assert read(tmp_path / "m.h5", n_phases=4).n_phases == 4


def test_refuses(tmp_path: Path, stream: np.random.Generator) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as f:
        f.create_group("GRF")
    with pytest.raises(InputError, match="has no images: the group 'GRF' is empty; expected MICRO2D's layout, DREAM"):
        read(path)
    with h5py.File(path, "w"):
        pass
    with pytest.raises(InputError, match="has no images: it holds 0 arrays, none of images"):
        read(path)
    for array, message in [
        (stream.random((3, 4, 4)), r"holds 0\.\d+ at index \[0, 0, 0\]; .* threshold a grey image first"),
        (np.full((3, 4, 4), np.nan), "holds nan .*; expected phase labels, not missing values"),
        (np.full((3, 4, 4), 300), "holds 300 .*; expected phase labels 0 to 255; threshold"),
        (np.zeros((2, 3, 4, 5, 6), int), r"has shape \(2, 3, 4, 5, 6\); expected one image \(X, Y\)"),
        (np.zeros(25, int), "it holds 1 arrays, none of images"),
        (np.zeros((0, 25), int), r"has shape \(0, 25\), without pixels"),
    ]:
        with pytest.raises(InputError, match=message) as caught:
            read(stored(path, images=array))
        assert str(path) in str(caught.value)
    with h5py.File(path, "w") as f:
        for i, side in enumerate((4, 4, 5)):
            f[str(i)] = np.zeros((side, 4), int)
            f[str(i)].attrs["c"] = 1.0
    with pytest.raises(InputError, match=r"'2' has shape \(5, 4\); expected \(4, 4\), as '0'"):
        read(path)
    path.write_bytes(pickle.dumps([1]))
    with pytest.raises(InputError, match="is a pickle, which is never loaded; expected an HDF5 file"):
        read(path)


def test_damage(tmp_path: Path, stream: np.random.Generator) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as f:
        f.create_dataset("x", data=stream.integers(0, 2, (4, 32, 32)), compression="gzip", chunks=(1, 32, 32))
        place = f["x"].id.get_chunk_info(1)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="is no HDF5 file, or truncated"):
        read(path)
    broken = bytearray(data)
    broken[place.byte_offset : place.byte_offset + place.size] = b"\xff" * place.size
    path.write_bytes(broken)
    with pytest.raises(InputError, match="'x' is damaged"):
        read(path)


def test_wide_integers_are_read_in_bounded_chunks(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("rows", (8000, 101 * 101), "i8", chunks=(64, 101 * 101))
    batch = next(read_images(tmp_path / "a.h5", options=ReadOptions(n_phases=2, shape=(101, 101))))
    assert batch.labels.nbytes * 8 <= 64 * 2**20
