"""From images to labelled images: resumable by shard, a failed image costs its own row, nothing is overwritten."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from microdesign.core.config import validate_config
from microdesign.core.errors import EvaluationError, InputError, StorageError
from microdesign.core.journal import JOURNAL
from microdesign.core.progress import Recorded
from microdesign.core.properties import standard_names
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import Dataset, DatasetWriter
from microdesign.microstructure.generators.dataset_generation import GenerateConfig, generate_dataset
from microdesign.microstructure.io.writers import write
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.protocol import Values
from microdesign.physics.execution.label_config import LabelConfig
from microdesign.physics.execution.labelling import label, label_dataset, missing_values
from microdesign.physics.execution.store import ResultStore
from microdesign.physics.materials import Materials
from microdesign.physics.properties import properties_of, volume_properties
from microdesign.physics.solver.homogenization import homogenize

MATERIALS = Materials.model_validate(
    {"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.3, "k": 10}], "units": {"E": "GPa", "k": "W/(m K)"}}
)


class Counting:
    """The volume fraction, computed for so many images; fails for those of a fraction that it is told."""

    def __init__(self, fails_above: float = 2.0, stops_after: int | None = None) -> None:
        self.fails_above, self.stops_after, self.images = fails_above, stops_after, 0

    @property
    def fingerprint(self) -> str:
        return "fraction"

    def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
        fraction = images.mean((1, 2))
        if (fraction > self.fails_above).any():
            raise EvaluationError("too much of phase 1")
        if self.stops_after is not None and self.images >= self.stops_after:
            raise KeyboardInterrupt
        self.images += len(images)
        return dict.fromkeys(standard_names(2), fraction + 1)


class NeverCalled(FFTEvaluator):
    """The same physics, with every answer in the store."""

    def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
        raise AssertionError


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Shards of 4, 4, 2 and again 4, 4, 2 images."""
    config = GenerateConfig(families=("GRF", "VoronoiMedium"), count_per_family=10, size=16, shard_size=4, seed=3)
    return generate_dataset(config, tmp_path_factory.mktemp("data") / "images")


def test_labels_are_the_evaluator_s(source: Dataset, tmp_path: Path) -> None:
    progress = Recorded()
    made = label_dataset(source, tmp_path, MATERIALS, FFTEvaluator(), progress=progress)
    images, labelled = source.load(), made.load()
    np.testing.assert_array_equal(labelled.labels, images.labels)
    assert (labelled.classes, labelled.generation) == (images.classes, images.generation)
    expected = FFTEvaluator().evaluate(images.labels, MATERIALS)
    assert tuple(made.manifest.properties) == standard_names(2)
    for name in standard_names(2):
        np.testing.assert_allclose(labelled.properties[name], expected[name], rtol=1e-6)
    assert progress.counts == [(done, 20, "images labelled") for done in (4, 8, 10, 14, 18, 20)]
    assert made.manifest.properties["Ex"] == "GPa"
    assert made.manifest.properties["kx"] == "W/(m K)"
    assert Materials.model_validate(made.manifest.materials) == MATERIALS
    assert made.manifest.settings["images"] == source.manifest.digest
    assert {name: part.tolist() for name, part in made.split().items()} == {
        name: part.tolist() for name, part in source.split().items()
    }


def test_volumes_are_labelled_resumed_and_stored(tmp_path: Path) -> None:
    config = GenerateConfig(families=("FilteredNoise",), count_per_family=5, size=16, dims=3, shard_size=2)
    source = generate_dataset(config, tmp_path / "volumes")
    store = ResultStore(tmp_path / "store")
    made = label_dataset(source, tmp_path / "labelled", MATERIALS, FFTEvaluator(), store=store)
    assert tuple(made.manifest.properties) == standard_names(3)
    assert (made.manifest.properties["C11"], made.manifest.properties["AU"]) == ("GPa", "1")
    labelled = made.load()
    direct = homogenize(labelled.labels, MATERIALS, dims=3)
    expected = volume_properties(direct.stiffness, direct.conductivity)
    for name in standard_names(3):
        np.testing.assert_array_equal(labelled.properties[name], expected[name])
    (made.folder / made.manifest.shards[1].file).unlink()
    again = label_dataset(source, made.folder, MATERIALS, NeverCalled(), store=store)
    assert again.manifest.digest == made.manifest.digest
    assert len(store) == 5


def test_pixels_that_are_no_squares_count_as_what_they_are(source: Dataset, tmp_path: Path) -> None:
    images = source.load().select(slice(0, 3))
    bricks = write(tmp_path / "bricks", replace(images, pixel_size=0.5, aspect=(1, 3)))
    made = label_dataset(Dataset.open(bricks), tmp_path / "labelled", MATERIALS, FFTEvaluator()).load()
    direct = homogenize(images.labels, MATERIALS, spacing=(0.5, 1.5))
    expected = properties_of(direct.stiffness, direct.conductivity, MATERIALS)
    for name in standard_names(2):
        np.testing.assert_allclose(made.properties[name], expected[name], rtol=1e-5, err_msg=name)
    assert made.spacing == (0.5, 1.5)


def test_windows_of_a_scan_with_pores(tmp_path: Path) -> None:
    """Mirrors, for a scan does not repeat; zeros are labels, what they leave undefined is missing alone."""
    labels = np.zeros((4, 8, 8), np.uint8)
    labels[0, 2:4] = 1  # a gap across x
    labels[1] = 1  # a pore alone
    labels[2, 3, 3] = labels[3, 5, 2] = 1
    writer = DatasetWriter(tmp_path / "windows", settings={})
    writer.write_shard("part", Microstructures(labels=labels, n_phases=2, periodic=False))
    source = writer.finish()
    for void in (0, 1):
        phases: list[dict[str, float]] = [{"E": 2, "nu": 0.3, "k": 3}, {"E": 0, "nu": 0.0, "k": 0}]
        materials = Materials.model_validate({"phases": phases[:: -1 if void == 0 else 1]})
        store = ResultStore(tmp_path / f"store-{void}")
        made = label_dataset(source, tmp_path / f"void-{void}", materials, FFTEvaluator(), store=store)
        assert made.manifest.settings["boundary"] == "mirror"
        values, found = made.load().properties, missing_values(made)
        assert found["failed"] == 0
        assert not np.isnan([column for name, column in values.items() if name[0] != "v"]).any()
        again = label_dataset(source, tmp_path / f"again-{void}", materials, NeverCalled(), store=store).load()
        for name, column in values.items():
            np.testing.assert_array_equal(again.properties[name], column, err_msg=name)
        if void == 1:
            assert values["Ex"].tolist()[:2] == values["kx"].tolist()[:2] == [0, 0]
            assert values["Ey"][0] == pytest.approx(2 * 6 / 8, rel=1e-3)
            assert values["ky"][0] == pytest.approx(3 * 6 / 8, rel=1e-3)
            assert np.isnan(values["vxy"]).tolist() == [True, True, False, False]
            assert found["undefined"][0].startswith("vxy in 2 images: the solid does not hang together")
            assert found["zero"] == {"Ex": 2, "Ey": 1, "Gxy": 2, "kx": 2, "ky": 1}
    with pytest.raises(
        EvaluationError, match="the first error: AssertionError"
    ):  # the store knows these images with mirrors only
        label_dataset(source, tmp_path / "other", materials, NeverCalled(boundary="periodic"), store=store)


def test_a_summary_tells_why_images_failed(source: Dataset, tmp_path: Path) -> None:
    median = float(np.median(source.load().labels.mean((1, 2))))
    made = label_dataset(source, tmp_path, MATERIALS, Counting(fails_above=median))
    found = missing_values(made)
    assert 0 < found["failed"] == int(np.isnan(made.load().properties["Ex"]).sum()) < 20
    assert found["reasons"] == [f"{found['failed']} images: EvaluationError: too much of phase 1"]
    assert set(found) == {"failed", "reasons"}


def test_phases_of_one_physics_give_its_properties(source: Dataset, tmp_path: Path) -> None:
    phases = Materials.model_validate({"phases": [{"k": 1}, {"k": 10}]})
    made = label_dataset(source, tmp_path, phases, FFTEvaluator())
    assert tuple(made.manifest.properties) == ("kx", "ky")
    expected = label_dataset(source, tmp_path / "both", MATERIALS, FFTEvaluator()).load()
    for name, values in made.load().properties.items():
        np.testing.assert_array_equal(values, expected.properties[name])


def test_a_stopped_run_goes_on_at_the_missing_shard(source: Dataset, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        label_dataset(source, tmp_path, MATERIALS, Counting(stops_after=8))
    assert len(list(tmp_path.glob("*.parquet"))) == 2
    with pytest.raises(InputError, match=r"holds no dataset\.json"):
        Dataset.open(tmp_path)
    rest = Counting()
    resumed = label_dataset(source, tmp_path, MATERIALS, rest)
    assert rest.images == 12
    whole = label_dataset(source, tmp_path / "whole", MATERIALS, Counting())
    assert resumed.manifest.digest == whole.manifest.digest
    again = Counting()
    assert label_dataset(source, tmp_path, MATERIALS, again).manifest.digest == whole.manifest.digest
    assert again.images == 0


def test_other_materials_or_physics_are_computed_anew(source: Dataset, tmp_path: Path) -> None:
    label_dataset(source, tmp_path, MATERIALS, Counting())
    softer = Materials.model_validate({"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 5, "nu": 0.3, "k": 10}]})
    evaluator = Counting()
    label_dataset(source, tmp_path, softer, evaluator)
    assert evaluator.images == 20
    made = label_dataset(source, tmp_path, softer, FFTEvaluator(tolerance=1e-3))
    assert made.load().properties["Ex"].max() <= 5


def test_an_image_that_cannot_be_solved_gets_nan_and_says_why(source: Dataset, tmp_path: Path) -> None:
    images = source.load()
    fraction = images.labels.mean((1, 2))
    limit = float(np.sort(fraction)[-3])
    labelled = label_dataset(source, tmp_path, MATERIALS, Counting(fails_above=limit)).load()
    failed = fraction > limit
    assert failed.sum() == 2
    for name in standard_names(2):
        np.testing.assert_array_equal(np.isnan(labelled.properties[name]), failed)
    np.testing.assert_allclose(labelled.properties["Ex"][~failed], fraction[~failed] + 1)
    for text, before, bad in zip(labelled.generation, images.generation, failed, strict=True):
        assert text == ("EvaluationError: too much of phase 1" if bad else before)


def test_a_shard_without_any_answer_is_an_error(source: Dataset, tmp_path: Path) -> None:
    with pytest.raises(
        EvaluationError, match=r"None of the first 20 images could be evaluated; the first error: .*too much"
    ):
        label_dataset(source, tmp_path, MATERIALS, Counting(fails_above=-1))
    assert not list(tmp_path.glob("*.parquet"))


def test_the_source_is_never_its_own_answer(source: Dataset) -> None:
    before = source.manifest.digest
    for same in ("{0}", "{0}/", "{0}/../images"):
        settings = {"source": str(source.folder), "out": same.format(source.folder), "materials": MATERIALS}
        with pytest.raises(InputError, match="is the source itself; expected another folder"):
            validate_config(LabelConfig, settings, same)
    assert Dataset.open(source.folder).manifest.digest == before
    assert not source.manifest.properties


def test_what_is_missing_is_named(source: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: holds no dataset\.json"):
        label(LabelConfig(source=str(tmp_path / "nowhere"), out=str(tmp_path / "out"), materials=MATERIALS))
    with pytest.raises(InputError, match="evaluator = 'abaqus' is unknown"):
        label(LabelConfig(source=str(source.folder), out="out", materials=MATERIALS, evaluator="abaqus"))


def test_images_of_one_phase_are_labelled(tmp_path: Path) -> None:
    writer = DatasetWriter(tmp_path / "images", settings={})
    labels = np.repeat([0, 1], 2)[:, None, None] * np.ones((1, 8, 8), np.uint8)
    writer.write_shard("plain", Microstructures(labels=labels.astype(np.uint8), n_phases=2))
    made = label_dataset(writer.finish(), tmp_path / "out", MATERIALS, FFTEvaluator()).load()
    np.testing.assert_allclose(made.properties["Ex"], [1, 1, 10, 10], rtol=1e-4)
    np.testing.assert_allclose(made.properties["kx"], [1, 1, 10, 10], rtol=1e-4)


def test_a_shard_that_fails_whole_does_not_stop_the_rest(source: Dataset, tmp_path: Path) -> None:
    class Last(Counting):
        def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
            if self.images >= 16:
                raise EvaluationError("out of licences")
            return super().evaluate(images, materials)

    labelled = label_dataset(source, tmp_path, MATERIALS, Last()).load()
    np.testing.assert_array_equal(np.isnan(labelled.properties["kx"]), np.arange(20) >= 18)
    assert labelled.generation[-1] == "EvaluationError: out of licences"


def test_hopeless_physics_is_given_up_early(tmp_path: Path) -> None:
    config = GenerateConfig(families=("GRF",), count_per_family=300, size=16, shard_size=60)
    source = generate_dataset(config, tmp_path / "images")
    seen = Recorded()
    with pytest.raises(EvaluationError, match="None of the first 120 images"):
        label_dataset(source, tmp_path / "out", MATERIALS, Counting(-1), progress=seen)
    assert [done for done, _, _ in seen.counts] == [60, 120]
    assert not (tmp_path / "out").exists()


def test_an_evaluator_without_all_properties_is_refused(source: Dataset, tmp_path: Path) -> None:
    class Two(Counting):
        def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
            return {name: super(Two, self).evaluate(images, materials)[name] for name in ("Ex", "kx")}

    with pytest.raises(InputError, match="The evaluator gives no 'vxy'; it gives Ex, kx, a data set of these"):
        label_dataset(source, tmp_path, MATERIALS, Two())


def test_results_come_from_the_store(source: Dataset, tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "results")
    first, second = Counting(), Counting()
    made = label_dataset(source, tmp_path / "a", MATERIALS, first, store=store)
    again = label_dataset(source, tmp_path / "b", MATERIALS, second, store=store)
    assert first.images == 20
    assert second.images == 0
    assert made.manifest.digest == again.manifest.digest


def copied(source: Dataset, folder: Path) -> Path:
    folder.mkdir()
    for path in source.folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_bad_shards_are_named(source: Dataset, tmp_path: Path) -> None:
    shard = source.manifest.shards[2].file
    missing = copied(source, tmp_path / "missing")
    (missing / shard).unlink()
    with pytest.raises(InputError, match=rf"shard {shard} is missing, yet dataset\.json lists it"):
        label(LabelConfig(source=str(missing), out=str(tmp_path / "out"), materials=MATERIALS))
    unlisted = copied(source, tmp_path / "unlisted")
    (unlisted / "more.parquet").write_bytes((unlisted / shard).read_bytes())
    with pytest.raises(InputError, match=r"more\.parquet is not listed in dataset\.json"):
        label(LabelConfig(source=str(unlisted), out=str(tmp_path / "out"), materials=MATERIALS))
    truncated = copied(source, tmp_path / "truncated")
    (truncated / shard).write_bytes((truncated / shard).read_bytes()[:300])
    with pytest.raises(InputError, match=rf"{shard}: cannot be read as Parquet"):
        label_dataset(Dataset.open(truncated), tmp_path / "out", MATERIALS, Counting())
    swapped = copied(source, tmp_path / "swapped")
    (swapped / shard).write_bytes((swapped / source.manifest.shards[0].file).read_bytes())
    with pytest.raises(InputError, match=rf"{shard}: its content does not match the digest"):
        label_dataset(Dataset.open(swapped), tmp_path / "other", MATERIALS, Counting())
    # What was finished before the bad shard is kept for when it is repaired.
    assert len(list((tmp_path / "out").glob("*.parquet"))) == 2
    rest = Counting()
    label_dataset(source, tmp_path / "out", MATERIALS, rest)
    assert rest.images == 12


def test_a_full_disk_leaves_whole_shards_alone(
    source: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = pq.write_table, []

    def full(table: object, path: Path, **settings: object) -> None:
        calls.append(path)
        if len(calls) > 2:
            Path(path).write_bytes(b"PAR1 half of it")
            raise OSError(28, "No space left on device")
        write(table, path, **settings)

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(StorageError, match=r"\.parquet: cannot be written \(No space left on device\)"):
        label_dataset(source, tmp_path, MATERIALS, Counting())
    names = {shard.file for shard in source.manifest.shards[:2]}
    assert {path.name for path in tmp_path.iterdir()} - {JOURNAL} == names
    monkeypatch.undo()
    rest = Counting()
    assert len(label_dataset(source, tmp_path, MATERIALS, rest)) == 20
    assert rest.images == 12


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
def test_in_parallel_it_is_the_same(source: Dataset, tmp_path: Path) -> None:
    made = label(LabelConfig(source=str(source.folder), out=str(tmp_path / "ray"), materials=MATERIALS))
    alone = label_dataset(source, tmp_path / "alone", MATERIALS, FFTEvaluator())
    expected = {"images": 20, "failed": 0, "boundary": "periodic", "digest": alone.manifest.digest}
    assert made == {"dataset": str(tmp_path / "ray"), **expected}
