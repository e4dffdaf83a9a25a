"""Windows of large images as a data set."""

import itertools
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import Dataset
from microdesign.microstructure.data.manifest import SplitConfig
from microdesign.microstructure.data.places import Place, overlap
from microdesign.microstructure.data.sizes import shape_of
from microdesign.microstructure.io.convert import convert
from microdesign.microstructure.io.readers import read
from microdesign.microstructure.io.writers import load_writer
from microdesign.microstructure.windows.windows_dataset import windows
from tests.cases import case


def scan(shape: tuple[int, ...] = (96, 80), n_phases: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, n_phases, shape, dtype=np.uint8)


def shared_pixels(a: Place, b: Place) -> bool:
    """By the pixels themselves."""
    sets = [set(itertools.product(*(range(c, c + n) for c, n in zip(p.corner, p.extent, strict=True)))) for p in (a, b)]
    return a.source == b.source and bool(sets[0] & sets[1])


def test_windows_are_the_images_pixels_at_their_places(tmp_path: Path) -> None:
    for shape, n_phases, size, dims in [
        ((96, 80), 2, 16, 2),
        ((3, 60, 70), 3, 16, 2),
        ((40, 36, 32), 2, 8, 3),
        ((96, 80), 4, (24, 16), 2),
        ((40, 36, 32), 4, (8, 12, 8), 3),
    ]:
        with case(shape=shape, n_phases=n_phases, dims=dims):
            image = scan(shape, n_phases)
            folder = tmp_path / f"{n_phases}-{dims}"
            np.save(tmp_path / "scan.npy", image)
            dataset = windows(tmp_path / "scan.npy", folder, size=size, dims=dims)
            loaded = dataset.load()
            assert (loaded.n_phases, loaded.periodic, dataset.manifest.periodic) == (n_phases, False, False)
            stack = image if dims == 2 and image.ndim == 3 else image[None]
            names = [f"{tmp_path}/scan.npy" + (f"[{i}]" if len(stack) > 1 else "") for i in range(len(stack))]
            for labels, place in zip(loaded.labels, loaded.places, strict=True):
                assert place is not None
                source = stack[names.index(place.source)]
                assert place.extent == shape_of(size, dims)
                here = tuple(slice(c, c + n) for c, n in zip(place.corner, place.extent, strict=True))
                np.testing.assert_array_equal(labels, source[here])
            in_memory = windows(tmp_path / "scan.npy", size=size, dims=dims)
            assert in_memory.places == loaded.places
            np.testing.assert_array_equal(in_memory.labels, loaded.labels)


def test_no_window_of_one_part_shares_a_pixel_with_one_of_another(tmp_path: Path) -> None:
    dataset = windows(scan((70, 60)), tmp_path / "set", size=10, stride=4)
    split, places = dataset.split(), dataset.places
    assert all(len(part) > 2 for part in split.values())
    for a, b in itertools.combinations(split.values(), 2):
        assert not any(shared_pixels(places[i], places[j]) for i in a for j in b)
    assert overlap(places, split) is None


def test_the_parts_survive_a_copy_a_selection_and_a_smaller_size(tmp_path: Path) -> None:
    dataset = windows(scan(), tmp_path / "set", size=16)
    for way, size in [((), None), ((), 8), (("a.npz",), None), (("a.h5",), None), (("b.h5", "b.npz"), 8)]:
        out, source = f"copy-{size}-{len(way)}-{len(list(tmp_path.iterdir()))}", tmp_path / "set"
        for file in way:
            assert convert(source, tmp_path / file, resize_to=size)["left_out"] == []
            source, size = tmp_path / file, None
        convert(source, tmp_path / out, resize_to=size)
        copy = Dataset.open(tmp_path / out)
        assert copy.places == dataset.places
        for name, part in dataset.split().items():
            np.testing.assert_array_equal(copy.split()[name], part)
        assert copy.manifest.periodic is False
    batch = dataset.load("test")
    assert {place.split for place in batch.places if place} == {"test"}
    assert batch[1].places == batch.places[1:2]
    assert convert(tmp_path / "set", tmp_path / "many.vti")["left_out"] == ["places"]


def test_a_random_split_of_windows_that_overlap_is_found(tmp_path: Path) -> None:
    for stride, overlaps in [(8, True), (16, False)]:
        dataset = windows(scan(), tmp_path / f"{stride}", size=16, stride=stride, split_by_region=False)
        found, split, places = overlap(dataset.places, dataset.split()), dataset.split(), dataset.places
        held_out = [*split["validation"], *split["test"]]
        count = sum(any(shared_pixels(places[i], places[j]) for j in split["train"]) for i in held_out)
        assert (found is not None) is overlaps
        for suffix in (".npz", ".h5"):  # and of a file in between
            file, again = tmp_path / f"{stride}{suffix}", tmp_path / f"{stride}-{suffix[1:]}"
            convert(tmp_path / f"{stride}", file)
            convert(file, again)
            copy = Dataset.open(again)
            assert (overlap(copy.places, copy.split()) is not None) is overlaps
        assert (found["windows"] if found else 0) == count


def test_the_summary_counts_what_is_cut_and_left_out(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", scan((96, 80)))
    np.save(tmp_path / "b.npy", scan((128, 96)))
    command = [str(Path(sys.executable).parent / "microdesign"), "data", "windows", "a.npy", "b.npy", "set"]
    done = subprocess.run(
        [*command, "--size", "16", "--shares", "0.6,0.2,0.2", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    made = json.loads(done.stdout)
    dataset = Dataset.open(tmp_path / "set")
    assert (made["images"], made["windows"], made["stride"]) == (2, len(dataset), 8)
    assert {name: made[name] for name in dataset.split()} == {n: len(p) for n, p in dataset.split().items()}
    assert made["windows"] + made["left_out"] == 11 * 9 + 15 * 11
    assert {place.source for place in dataset.places if place} == {"a.npy", "b.npy"}
    again = subprocess.run(
        [*command, "--size", "16", "--shares", "0.6,0.2,0.2"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "unchanged: yes" in again.stdout


def test_what_cannot_be_cut_is_refused_in_one_sentence(tmp_path: Path) -> None:
    two, three = scan((64, 64)), scan((64, 64), 3)
    np.save(tmp_path / "two.npy", two)
    np.save(tmp_path / "three.npy", three)
    np.save(tmp_path / "volume.npy", scan((2, 64, 64, 64)))
    cut = Microstructures(labels=two[None], n_phases=2, places=(Place(source="a", corner=(0, 0), extent=(64, 64)),))
    fine = Microstructures(labels=two[None], n_phases=2, pixel_size=0.5)
    assert windows(fine, size=16).pixel_size == 0.5
    for images, settings, message in [
        (two, {"size": 80}, r"^image: has 64 x 64 pixels, fewer than size = 80; expected a size of at most 64\.$"),
        (two, {"size": 40}, r"^image: 64 x 64 pixels are too few .* size 40; give a size of at most 32, or no split"),
        (two, {"size": 3}, "size = 3 is too small; expected at least 4"),
        (two, {"stride": 0}, "stride = 0 is too small; expected at least 1"),
        (np.ones((64, 64), int), {}, r"image: holds one phase alone \(label 1\); expected an image of two phases"),
        (cut, {"size": 8}, "image: is a window of a; cut that image instead"),
        (["two.npy", "three.npy"], {}, r"three\.npy: has 3 phases; expected 2, as in two\.npy; state the number"),
        (["two.npy", "volume.npy"], {}, r"volume\.npy\[0\]: has 3 axes; expected 2, as in two\.npy"),
        (["two.npy", "nowhere.npy"], {}, r"nowhere\.npy: does not exist"),
        ([], {}, "there are no images"),
        (two[0], {}, r"the images have shape \(64,\); expected"),
        (two / 2, {}, "expected integer phase labels"),
    ]:
        with case(settings=settings, message=message), pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path)
            with pytest.raises(InputError, match=message):
                windows(images, tmp_path / "set", **{"size": 16, **settings})
            assert not (tmp_path / "set").exists()
    assert (
        windows(
            [tmp_path / "two.npy", tmp_path / "three.npy"],
            size=16,
            n_phases=3,
            split=SplitConfig(train=1, validation=0, test=0),
        ).n_phases
        == 3
    )


def test_files_where_some_images_are_windows(tmp_path: Path) -> None:
    place = Place(source="scan.tif", corner=(0, 8), extent=(8, 8), split="test")
    plain = Microstructures(labels=scan((8, 8))[None], n_phases=2, classes=("a",))
    window = replace(plain, places=(place,))
    batches = [plain, window, plain]
    for writer, file in (("micro2d", "mixed.h5"), ("npz", "mixed.npz")):
        path = load_writer(writer).write(tmp_path / file, iter(batches))
        assert read(path).places == (None, place, None), file
    with np.load(path) as stored:
        arrays = dict(stored)
    for text in ("{", "[]", '{"source": "a"}'):
        np.savez(tmp_path / "bad.npz", **(arrays | {"places": np.array([text] * 3)}))
        with pytest.raises(InputError, match=r"bad\.npz: 'places': holds a text that is no place"):
            read(tmp_path / "bad.npz")
