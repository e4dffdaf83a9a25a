import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from microdesign.core.config import load_config
from microdesign.core.errors import InputError, StorageError
from microdesign.core.progress import Recorded
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import Dataset, DatasetWriter
from microdesign.microstructure.data.manifest import SplitConfig, split_indices
from microdesign.microstructure.generators.dataset_generation import GenerateConfig, generate_dataset, plan_shards
from microdesign.microstructure.generators.registry import generate

CONFIG = GenerateConfig(families=("GRF", "VoronoiMedium"), count_per_family=25, size=18, seed=7, shard_size=10)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "set"
    generate_dataset(CONFIG, folder)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    # copytree keeps the times of the files.
    return Path(shutil.copytree(made, tmp_path / "set"))


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}


def test_round_trip(folder: Path) -> None:
    dataset = Dataset.open(folder)
    expected = Microstructures.concatenate([generate(family, 25, (18, 18), seed=7) for family in CONFIG.families])
    loaded = dataset.load()
    np.testing.assert_array_equal(loaded.labels, expected.labels)
    assert (loaded.classes, loaded.generation) == (expected.classes, expected.generation)
    assert [len(part) for part in dataset.chunks()] == [10, 10, 5, 10, 10, 5]
    assert dataset.manifest.classes == {"GRF": 25, "VoronoiMedium": 25}
    assert (len(dataset), dataset.manifest.shape, dataset.manifest.seed) == (50, (18, 18), 7)


def test_two_phase_images_cost_a_bit_a_pixel(folder: Path) -> None:
    schema = pq.read_schema(folder / "GRF-00000.parquet")
    assert schema.names == ["class", "generation", "image"]
    assert schema.field("image").type.byte_width == (18 * 18 + 7) // 8


def test_phases_shapes_and_properties(tmp_path: Path) -> None:
    for n_phases, shape in [(2, (5, 7)), (4, (6, 6)), (2, (3, 4, 5)), (1, (4, 4))]:
        stream = np.random.default_rng(0)
        batch = Microstructures(
            labels=stream.integers(0, n_phases, (6, *shape)),
            n_phases=n_phases,
            properties={"Ex": np.array([1.0, np.nan, 1 / 3, 0, -1, 2]), "kx": stream.random(6)},
            periodic=False,
            pixel_size=0.25,
        )
        folder = tmp_path / f"{n_phases} {shape}"
        writer = DatasetWriter(folder, settings={}, units={"Ex": "GPa"}, materials={"plane": "stress"})
        writer.write_shard("b", batch.select(slice(4, 6)))
        writer.write_shard("a", batch.select(slice(0, 4)))
        writer.finish()
        dataset = Dataset.open(folder)
        back = dataset.load()
        np.testing.assert_array_equal(back.labels, batch.labels)
        for name, values in batch.properties.items():
            np.testing.assert_array_equal(back.properties[name], values)
        assert (back.n_phases, back.periodic, back.pixel_size) == (n_phases, False, 0.25)
        assert dataset.manifest.properties == {"Ex": "GPa", "kx": ""}
        assert dataset.manifest.materials == {"plane": "stress"}
        assert pq.read_schema(folder / "a.parquet").field("Ex").metadata == {b"unit": b"GPa"}


def test_load_by_split_is_the_selection(folder: Path) -> None:
    dataset = Dataset.open(folder)
    everything, parts = dataset.load(), dataset.split()
    for name, size in (("train", 40), ("validation", 4), ("test", 6)):
        part = dataset.load(name)
        assert len(part) == size
        np.testing.assert_array_equal(part.labels, everything.labels[parts[name]])
        assert part.generation == tuple(everything.generation[i] for i in parts[name])
    some = dataset.load("train", most=7)
    places = [int(np.flatnonzero((everything.labels == image).all((1, 2)))[0]) for image in some.labels]
    assert len(set(places)) == 7
    assert places == sorted(places)
    assert set(places) <= set(parts["train"].tolist())
    assert len(dataset.load("train", most=100)) == 40
    with pytest.raises(InputError, match="split 'held-out' is unknown; expected one of: train, validation, test"):
        dataset.load("held-out")


def test_split_is_stratified_disjoint_and_reproducible() -> None:
    classes = ["a"] * 100 + ["b"] * 40 + ["c"] * 10
    split = split_indices(classes, (0.7, 0.2, 0.1), seed=3)
    assert sorted(np.concatenate(list(split.values()))) == list(range(150))
    for name, share in (("train", 0.7), ("validation", 0.2), ("test", 0.1)):
        of_class = np.array(classes)[split[name]]
        assert {c: int((of_class == c).sum()) for c in "abc"} == {"a": 100 * share, "b": 40 * share, "c": 10 * share}
    again, other = split_indices(classes, (0.7, 0.2, 0.1), seed=3), split_indices(classes, (0.7, 0.2, 0.1), seed=4)
    np.testing.assert_array_equal(split["train"], again["train"])
    assert set(split["test"]) != set(other["test"])
    # The division of one class does not depend on the others.
    alone = split_indices(["b"] * 40, (0.7, 0.2, 0.1), seed=3)["test"]
    np.testing.assert_array_equal(alone + 100, [i for i in split["test"] if 100 <= i < 140])
    with pytest.raises(InputError, match="expected three shares"):
        split_indices(classes, (0.5, 0.6, -0.1))


def test_a_second_run_reuses_everything(folder: Path) -> None:
    before, manifest = times(folder), (folder / "dataset.json").read_text()
    seen = Recorded()
    generate_dataset(CONFIG, folder, progress=seen)
    assert times(folder) == before
    assert (folder / "dataset.json").read_text() == manifest
    assert seen.counts == [(done, 50, "images generated") for done in (10, 20, 25, 35, 45, 50)]


def test_resumes_after_a_killed_run(folder: Path) -> None:
    digest, before = Dataset.open(folder).manifest.digest, times(folder)
    (folder / "dataset.json").unlink()
    (folder / "GRF-00001.parquet").unlink()
    (folder / "VoronoiMedium-00002.parquet").write_bytes(b"half a file")
    (folder / ".GRF-00001.parquet.abc").write_bytes(b"left by the killed run")
    with pytest.raises(InputError, match=r"holds no dataset\.json; expected the folder of a finished data set"):
        Dataset.open(folder)
    dataset = generate_dataset(CONFIG, folder)
    after = times(folder)
    remade = {"GRF-00001.parquet", "VoronoiMedium-00002.parquet"}
    assert {name for name in after if after[name] != before[name]} == remade
    assert dataset.manifest.digest == digest


def test_shards_of_other_settings_are_replaced(folder: Path) -> None:
    before, digest = times(folder), Dataset.open(folder).manifest.digest
    other = generate_dataset(CONFIG.model_copy(update={"seed": 8, "count_per_family": 12}), folder)
    assert sorted(times(folder)) == [f"{family}-0000{i}.parquet" for family in CONFIG.families for i in (0, 1)]
    assert all(time != before[name] for name, time in times(folder).items())
    assert other.manifest.digest != digest
    assert len(other.load()) == 24


def test_another_split_keeps_the_shards(folder: Path) -> None:
    before, digest = times(folder), Dataset.open(folder).manifest.digest
    split = SplitConfig(seed=1, train=0.5, validation=0.25, test=0.25)
    dataset = generate_dataset(CONFIG.model_copy(update={"split": split}), folder)
    assert times(folder) == before
    assert dataset.manifest.digest != digest
    assert len(dataset.load("train")) == pytest.approx(25, abs=1)


def test_the_digest_does_not_depend_on_the_place_or_the_time(folder: Path, tmp_path: Path) -> None:
    again = generate_dataset(CONFIG, tmp_path / "again")
    assert again.manifest == Dataset.open(folder).manifest


def test_labelling_keeps_shards_and_adds_columns(folder: Path, tmp_path: Path) -> None:
    source = Dataset.open(folder)
    writer = DatasetWriter(tmp_path / "labelled", settings={"source": source.manifest.digest}, units={"phi": "1"})
    for shard, batch in zip(source.manifest.shards, source.chunks(), strict=True):
        phi = batch.labels.mean(axis=(1, 2))
        writer.write_shard(shard.name, dataclasses.replace(batch, properties={"phi": phi}))
    labelled = writer.finish([shard.name for shard in source.manifest.shards])
    assert [shard.file for shard in labelled.manifest.shards] == [shard.file for shard in source.manifest.shards]
    loaded = labelled.load("test")
    np.testing.assert_allclose(loaded.properties["phi"], loaded.labels.mean(axis=(1, 2)))


def test_a_worker_writes_and_another_process_finishes(tmp_path: Path) -> None:
    worker = DatasetWriter(tmp_path, settings={"a": 1})
    worker.write_shard("s0", generate("GRF", 3, (16, 16)))
    assert not DatasetWriter(tmp_path, settings={"a": 2}).has_shard("s0")
    driver = DatasetWriter(tmp_path, settings={"a": 1})
    assert driver.has_shard("s0")
    assert not driver.has_shard("s1")
    with pytest.raises(StorageError, match=r"s1\.parquet: is missing or made with other settings"):
        driver.finish(["s0", "s1"])
    assert len(driver.finish(["s0"])) == 3


def test_writer_refuses(tmp_path: Path) -> None:
    writer = DatasetWriter(tmp_path, settings={})
    with pytest.raises(StorageError, match="no shard was written"):
        writer.finish()
    with pytest.raises(InputError, match=r"shard name '\.\./a' is not valid"):
        writer.write_shard("../a", generate("GRF", 1, (16, 16)))
    with pytest.raises(InputError, match="got no samples"):
        writer.write_shard("a", generate("GRF", 1, (16, 16)).select([]))
    batch = generate("GRF", 1, (16, 16))
    with pytest.raises(InputError, match="property 'image' bears the name of a fixed column"):
        writer.write_shard("a", dataclasses.replace(batch, properties={"image": np.zeros(1)}))
    writer.write_shard("a", batch)
    writer.write_shard("b", generate("GRF", 1, (17, 17)))
    with pytest.raises(StorageError, match=r"b\.parquet: differs from a in shape, phases, pixel size or properties"):
        writer.finish()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file: cannot be written \(Not a directory\)"):
        DatasetWriter(tmp_path / "file", settings={}).write_shard("a", generate("GRF", 1, (16, 16)))


def test_open_refuses_what_does_not_fit(folder: Path) -> None:
    with pytest.raises(InputError, match="expected the folder of a finished data set"):
        Dataset.open(folder / "absent")
    shutil.copy(folder / "GRF-00000.parquet", folder / "extra.parquet")
    with pytest.raises(InputError, match=r"extra\.parquet is not listed in dataset\.json"):
        Dataset.open(folder)
    (folder / "extra.parquet").unlink()
    kept = (folder / "GRF-00001.parquet").read_bytes()
    (folder / "GRF-00001.parquet").unlink()
    with pytest.raises(InputError, match=r"shard GRF-00001\.parquet is missing, yet dataset\.json lists it"):
        Dataset.open(folder)
    # Another valid shard in its place is found out when it is read.
    shutil.copy(folder / "GRF-00000.parquet", folder / "GRF-00001.parquet")
    dataset = Dataset.open(folder)
    with pytest.raises(InputError, match=r"GRF-00001\.parquet: its content does not match the digest"):
        dataset.load()
    (folder / "GRF-00001.parquet").write_bytes(kept[: len(kept) // 2])
    with pytest.raises(InputError, match=r"GRF-00001\.parquet: cannot be read as Parquet"):
        list(Dataset.open(folder).chunks())


def test_open_refuses_an_edited_manifest(folder: Path) -> None:
    path = folder / "dataset.json"
    values = json.loads(path.read_text())
    for change, message in (
        ({"seed": 8}, "does not match its own digest"),
        ({"version": 2}, "has version 2; expected 1"),
        ({"colour": "red"}, "unknown key 'colour'"),
    ):
        path.write_text(json.dumps(values | change))
        with pytest.raises(InputError, match=message):
            Dataset.open(folder)
    path.write_text("{")
    with pytest.raises(InputError, match="is not valid JSON"):
        Dataset.open(folder)


def test_config(tmp_path: Path) -> None:
    config = load_config(GenerateConfig, overrides=["families=[GRF]", "count_per_family=7", "shard_size=3"])
    assert [(shard.name, shard.start, shard.count) for shard in plan_shards(config)] == [
        ("GRF-00000", 0, 3),
        ("GRF-00001", 3, 3),
        ("GRF-00002", 6, 1),
    ]
    for override, message in (
        (
            "families=[Foam]",
            "family 'Foam' is unknown; expected one of: .*Circles, .*GRF, .*or module:name of your own",
        ),
        ("families=[GRF, GRF]", "expected different names"),
        ("size=4", "'size' = 4 is not valid"),
        ("split.train=0.9", r"train \+ validation \+ test = 1.1; expected 1"),
    ):
        with pytest.raises(InputError, match=message):
            load_config(GenerateConfig, overrides=[override])
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file; expected a folder"):
        generate_dataset(CONFIG, tmp_path / "file")
