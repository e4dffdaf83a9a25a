"""Data sets as a Ray Data pipeline: the same labels as in process, whatever fails, resumed after a kill."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import ray

from microdesign.core.errors import EvaluationError, InputError
from microdesign.core.files import digest
from microdesign.core.progress import Recorded
from microdesign.core.properties import standard_names
from microdesign.microstructure.data.dataset import Dataset
from microdesign.microstructure.generators.dataset_generation import GenerateConfig, generate_dataset
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.protocol import Values
from microdesign.physics.evaluators.resolver import load_evaluator
from microdesign.physics.execution import parallel
from microdesign.physics.execution import store as store_module
from microdesign.physics.execution.labelling import UNFINISHED, label_dataset
from microdesign.physics.execution.parallel import batch_size_for, evaluate_shards
from microdesign.physics.execution.store import ResultStore
from microdesign.physics.materials import Materials

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]

MATERIALS = Materials.model_validate({"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.3, "k": 10}]})


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Shards of 7, 7, 6 and again 7, 7, 6 images."""
    config = GenerateConfig(families=("GRF", "VoronoiMedium"), count_per_family=20, size=16, shard_size=7, seed=3)
    return generate_dataset(config, tmp_path_factory.mktemp("data") / "images")


@pytest.fixture(autouse=True)
def _nothing_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "SMALL", 0)


# Workers cannot import a module of the tests.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Fraction:
    """The volume fraction; touches a file a call with its images, and misbehaves with an image of a fraction."""

    def __init__(self, folder: Path, at: float = -1.0, how: str = "") -> None:
        self.folder, self.at, self.how = folder, at, how
        folder.mkdir(exist_ok=True)

    @property
    def fingerprint(self) -> str:
        return "fraction"

    def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
        fraction = images.mean((1, 2))
        bad = np.isclose(fraction, self.at)
        if bad.any() and self.how == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if bad.any() and self.how == "raise":
            raise RuntimeError("no answer")
        (self.folder / f"{len(images)}-{time.time_ns()}-{os.getpid()}").touch()
        return dict.fromkeys(standard_names(2), np.where(bad, np.nan, fraction) if self.how == "nan" else fraction)

    def images(self) -> int:
        return sum(int(path.name.split("-")[0]) for path in self.folder.iterdir())


def test_labels_are_those_of_one_process(source: Dataset, tmp_path: Path) -> None:
    progress = Recorded()
    made = label_dataset(source, tmp_path / "ray", MATERIALS, FFTEvaluator(), evaluate_shards, progress=progress)
    alone = label_dataset(source, tmp_path / "alone", MATERIALS, FFTEvaluator())
    assert made.manifest.digest == alone.manifest.digest
    assert progress.counts[-1] == (40, 40, "images labelled")
    assert [done for done, _, _ in progress.counts] == sorted(done for done, _, _ in progress.counts)
    assert len(progress.counts) > len(source.manifest.shards)


@pytest.mark.parametrize("how", ["raise", "nan", "die"])
def test_one_bad_image_costs_itself(source: Dataset, tmp_path: Path, how: str) -> None:
    images = source.load()
    fraction = images.labels.mean((1, 2))
    values, counts = np.unique(fraction, return_counts=True)
    at = float(values[counts == 1][-1])
    evaluator = Fraction(tmp_path / "seen", at, how)
    labelled = label_dataset(source, tmp_path / "out", MATERIALS, evaluator, evaluate_shards).load()
    failed = fraction == at
    np.testing.assert_array_equal(np.isnan(labelled.properties["Gxy"]), failed)
    np.testing.assert_allclose(labelled.properties["Ex"][~failed], fraction[~failed])
    (reason,) = [text for text, bad in zip(labelled.generation, failed, strict=True) if bad]
    expected = {"raise": "RuntimeError: no answer", "nan": "returned no value", "die": "the worker died"}
    assert expected[how] in reason
    others = [(a, b) for a, b, bad in zip(labelled.generation, images.generation, failed, strict=True) if not bad]
    assert all(a == b for a, b in others)


def test_the_store_spares_physics(source: Dataset, tmp_path: Path) -> None:
    first, second = Fraction(tmp_path / "first"), Fraction(tmp_path / "second")
    store = ResultStore(tmp_path / "results")
    made = label_dataset(source, tmp_path / "a", MATERIALS, first, evaluate_shards, store=store)
    again = label_dataset(source, tmp_path / "b", MATERIALS, second, evaluate_shards, store=store)
    assert 0 < first.images() <= 40
    assert second.images() == 0
    assert made.manifest.digest == again.manifest.digest
    in_tasks = parallel.evaluate_parallel(second, source.load().labels, MATERIALS, store=store)
    np.testing.assert_array_equal(in_tasks["Ex"], made.load().properties["Ex"])
    assert second.images() == 0


def test_equal_images_go_to_physics_once(source: Dataset, tmp_path: Path) -> None:
    evaluator, store = Fraction(tmp_path / "seen"), ResultStore(tmp_path / "results")
    labels = source.read_shard(0).labels
    images = labels[[0, 1, 0, 2, 2, 3]]
    for count in (4, 4):
        values = parallel.evaluate_parallel(evaluator, images, MATERIALS, batch_size=2, store=store)
        np.testing.assert_allclose(values["kx"], images.mean((1, 2)))
        assert evaluator.images() == count
    values = parallel.evaluate_parallel(evaluator, labels, MATERIALS, batch_size=2, store=store)
    np.testing.assert_allclose(values["kx"], labels.mean((1, 2)))
    assert evaluator.images() == 7


def test_results_are_on_disk_before_the_stream_ends(
    source: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is killed meanwhile has them."""
    monkeypatch.setattr(store_module, "STORE_SECONDS", 0)
    store, images = ResultStore(tmp_path / "results"), source.read_shard(0).labels[:6]
    stream = parallel.evaluate_stream(Fraction(tmp_path / "seen"), images, MATERIALS, batch_size=2, store=store)
    for number, _ in enumerate(stream, start=1):
        assert len(ResultStore(tmp_path / "results")) == 2 * number
    assert number == 3


def test_a_truncated_shard_is_named(source: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in source.folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    copy = Dataset.open(folder)
    shard = folder / copy.manifest.shards[1].file
    shard.write_bytes(shard.read_bytes()[:-200])
    with pytest.raises(InputError, match=rf"{shard.name}: cannot be read as Parquet"):
        label_dataset(copy, tmp_path / "out", MATERIALS, FFTEvaluator(), evaluate_shards)
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_an_evaluator_that_workers_cannot_load_is_one_sentence(source: Dataset, tmp_path: Path) -> None:
    (tmp_path / "only_here.py").write_text("class Here:\n    fingerprint = 'x'\n    def evaluate(self, *_): ...\n")
    sys.path.insert(0, str(tmp_path))
    try:
        evaluator = load_evaluator("only_here:Here")
    finally:
        sys.path.remove(str(tmp_path))
    with pytest.raises(EvaluationError, match=r"could not run: .*No module named 'only_here'") as caught:
        label_dataset(source, tmp_path / "out", MATERIALS, evaluator, evaluate_shards)
    assert "\n" not in str(caught.value)


def test_batches_fit_the_memory_and_the_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    resources = {"CPU": 4.0, "memory": 64 * 2.0**30}
    monkeypatch.setattr(ray, "cluster_resources", lambda: resources)
    fft = FFTEvaluator()
    assert batch_size_for(fft, (64, 64), 100_000) == 256
    assert batch_size_for(fft, (64, 64), 160) == 10
    assert batch_size_for(fft, (256, 256), 100_000) == 16
    assert batch_size_for(fft, (4096, 4096), 100) == 1
    resources["memory"] = 2.0**28
    assert batch_size_for(fft, (64, 64), 100_000) == 4

    class Few:
        batch_size = 3

    assert batch_size_for(Few(), (8, 8), 100_000) == 3


KILLED = """
    import sys
    from pathlib import Path
    from microdesign.physics.execution.cluster import connected
    from microdesign.microstructure.data.dataset import Dataset
    from microdesign.physics.execution import parallel, store
    from microdesign.physics.execution.labelling import label_dataset
    from microdesign.physics.materials import Materials
    from slow_fraction import SlowFraction

    parallel.SMALL, store.STORE_SECONDS = {small}, 0
    materials = Materials.model_validate({{"phases": [{{"E": 1, "nu": 0.3, "k": 1}}, {{"E": 10, "nu": 0.3, "k": 10}}]}})
    with connected():
        source = Dataset.open({source!r})
        label_dataset(source, {out!r}, materials, SlowFraction({seen!r}), parallel.evaluate_shards)
    print("done")
"""
SLOW = """
    import time
    from pathlib import Path
    import numpy as np
    from microdesign.core.files import digest
    from microdesign.core.properties import standard_names

    class SlowFraction:
        fingerprint, batch_size = "slow", 2
        def __init__(self, folder):
            self.folder = folder
        def evaluate(self, images, materials):
            time.sleep(0.3)
            for image in images:
                (Path(self.folder) / f"{digest(image.tobytes())}-{time.time_ns()}").touch()
            return dict.fromkeys(standard_names(2), images.mean((1, 2)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("small", [0, parallel.SMALL], ids=["pipeline", "loop"])
def test_killed_it_goes_on_at_the_missing_images(source: Dataset, tmp_path: Path, small: int) -> None:
    seen, out = tmp_path / "seen", tmp_path / "out"
    seen.mkdir()
    (tmp_path / "slow_fraction.py").write_text(textwrap.dedent(SLOW))
    script = tmp_path / "run.py"
    script.write_text(
        textwrap.dedent(KILLED).format(source=str(source.folder), out=str(out), seen=str(seen), small=small)
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    # On the Ray of these tests, by which processes of other programs are known by a token.
    environment |= {"PYTHONPATH": path, "RAY_AUTH_MODE": "token"}
    environment |= {"RAY_ADDRESS": ray.get_runtime_context().gcs_address}
    with (tmp_path / "log").open("w") as log:
        first = subprocess.Popen(
            [sys.executable, script], env=environment, stdout=log, stderr=log, start_new_session=True
        )
    deadline = time.monotonic() + 400
    while len(list(out.glob("*.parquet"))) < 2:
        assert first.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    kept = {path.name: path.stat().st_mtime_ns for path in out.glob("*.parquet")}
    assert 2 <= len(kept) < 6
    stored = len(ResultStore(out / UNFINISHED))
    time.sleep(2)  # Ray's workers notice that their driver is gone.
    before = {path.name for path in seen.iterdir()}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)
    assert "done" in done.stdout, done.stderr
    labelled = Dataset.open(out)
    assert len(labelled) == 40
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("*.parquet") if path.name in kept} == kept
    again = {path.name.split("-")[0] for path in seen.iterdir() if path.name not in before}
    finished = [number for number, shard in enumerate(source.manifest.shards) if shard.file in kept]
    for number in finished:
        assert not again & {digest(image.tobytes()) for image in source.read_shard(number).labels}
    images = source.load()
    assert len(again) == len({digest(image.tobytes()) for image in images.labels}) - stored
    assert not (out / UNFINISHED).exists()
    np.testing.assert_allclose(labelled.load().properties["Ex"], images.labels.mean((1, 2)))
