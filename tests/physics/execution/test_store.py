"""Results that are never computed twice: found again, by any process, at any size, and cheaply."""

import multiprocessing
import pickle
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from microdesign.core.errors import InputError, StorageError
from microdesign.core.files import digest
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.protocol import Values
from microdesign.physics.execution import store as module
from microdesign.physics.execution.store import ResultStore, evaluate_stored, evaluation_keys
from microdesign.physics.materials import Materials

MATERIALS = Materials.model_validate({"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.3, "k": 10}]})
IMAGES = np.random.default_rng(0).integers(0, 2, (6, 12, 10)).astype(np.uint8)


class Counting:
    """The volume fraction; counts images, fails above a fraction."""

    fingerprint = "counting"

    def __init__(self, fails_above: float = 2.0) -> None:
        self.images, self.fails_above = 0, fails_above

    def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
        self.images += len(images)
        fraction = images.mean((1, 2))
        return {"Ex": np.where(fraction > self.fails_above, np.nan, fraction)}


def keys(*numbers: int) -> list[str]:
    return [digest(str(number)) for number in numbers]


def values(*numbers: float) -> Values:
    return {"Ex": np.array(numbers, float), "error": np.full(len(numbers), "")}


def test_what_is_added_is_found(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "r")
    known, found = store.find(keys(1, 2))
    assert not known.any()
    assert found == {}
    store.add(keys(*range(100)), values(*range(100)))
    for each in (store, ResultStore(tmp_path / "r"), pickle.loads(pickle.dumps(store))):
        known, found = each.find(keys(70, 1000, 3, 70))
        np.testing.assert_array_equal(known, [True, False, True, True])
        np.testing.assert_array_equal(found["Ex"], [70, 3, 70])
    assert store.find([])[0].shape == (0,)


def test_a_key_is_kept_once_and_failures_are_not_kept(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.add(keys(1, 1, 2), values(1, 1, 2))
    ResultStore(tmp_path).add(keys(2, 3, 4), {"Ex": np.array([2, 3, np.nan]), "error": np.array(["", "", "no"])})
    assert len(store) == 3
    np.testing.assert_array_equal(store.find(keys(1, 2, 3, 4))[0], [True, True, True, False])


def test_evaluators_may_give_different_properties(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.add(keys(1), values(1))
    store.add(keys(2), {"kx": np.array([2.0]), "error": np.array([""])})
    assert set(store.find(keys(1))[1]) == {"Ex"}
    assert store.find(keys(2))[1] == {"kx": np.array([2.0])}


def test_small_parts_are_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FULL", 50)
    monkeypatch.setattr(module, "_MANY", 5)
    monkeypatch.setattr(module, "_CACHED", 2)
    store, reader = ResultStore(tmp_path), ResultStore(tmp_path)
    for start in range(0, 300, 3):
        store.add(keys(*range(start, start + 3)), values(*range(start, start + 3)))
        assert reader.find(keys(start, 0))[0].all()
    assert len(list(tmp_path.iterdir())) < 12
    assert len(store) == 300
    for each in (store, reader):
        np.testing.assert_array_equal(each.find(keys(*range(300)))[1]["Ex"], np.arange(300))


def _add_many(folder: Path, offset: int) -> None:
    store = ResultStore(folder)
    for start in range(offset, offset + 120, 2):
        store.add(keys(start, start + 1), values(start, start + 1))
        assert store.find(keys(start))[0].all()


def test_processes_add_and_merge_at_the_same_time(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_add_many, args=(tmp_path, offset)) for offset in (0, 60, 120)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    known, found = ResultStore(tmp_path).find(keys(*range(240)))
    assert known.all()
    np.testing.assert_array_equal(found["Ex"], np.arange(240))


def test_an_image_is_solved_once(tmp_path: Path) -> None:
    store, physics = ResultStore(tmp_path), Counting()
    images = IMAGES[[0, 1, 0, 2, 1]]
    first = evaluate_stored(physics, images, MATERIALS, store)
    assert physics.images == 3
    again = evaluate_stored(physics, IMAGES[:4], MATERIALS, ResultStore(tmp_path))
    assert physics.images == 4
    np.testing.assert_allclose(first["Ex"], images.mean((1, 2)))
    np.testing.assert_allclose(again["Ex"], IMAGES[:4].mean((1, 2)))
    assert not any(first["error"])
    softer = MATERIALS.model_copy(update={"plane": "strain"})
    evaluate_stored(physics, IMAGES[:1], softer, store)
    assert physics.images == 5


def test_a_failure_is_tried_again(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    limit = float(np.sort(IMAGES.mean((1, 2)))[-2])
    failed = evaluate_stored(Counting(limit), IMAGES, MATERIALS, store)
    assert (failed["error"] != "").sum() == 1
    retried = Counting()
    assert not any(evaluate_stored(retried, IMAGES, MATERIALS, store)["error"])
    assert retried.images == 1


def test_it_costs_little_beside_the_physics(tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(0, 2, (2000, 64, 64)).astype(np.uint8)
    store, physics = ResultStore(tmp_path), FFTEvaluator()
    result = {name: np.arange(2000.0) for name in ("Ex", "vxy", "Ey", "vyx", "Gxy", "kx", "ky", "iterations")}
    started = time.process_time()
    for start in range(0, 2000, 250):
        part = slice(start, start + 250)
        names = evaluation_keys(images[part], MATERIALS, physics)
        assert not store.find(names)[0].any()
        store.add(names, {**{name: a[part] for name, a in result.items()}, "error": np.full(250, "")})
    assert (time.process_time() - started) / 2000 < 0.3e-3


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ResultStore(tmp_path)
    store.add(keys(1), values(1))

    def full(table: object, path: Path, **_: object) -> None:
        Path(path).write_bytes(b"PAR1 half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(StorageError, match=r"part-.*cannot be written \(No space left on device\)"):
        store.add(keys(2), values(2))
    assert len(list(tmp_path.iterdir())) == 1
    np.testing.assert_array_equal(ResultStore(tmp_path).find(keys(1, 2))[0], [True, False])


def test_damage_is_named(tmp_path: Path) -> None:
    ResultStore(tmp_path).add(keys(1), values(1))
    (part,) = tmp_path.iterdir()
    part.write_bytes(part.read_bytes()[:40])
    with pytest.raises(InputError, match=r"part-00000001-.*is damaged .*delete it"):
        ResultStore(tmp_path).find(keys(1))
    with pytest.raises(InputError, match="is a file; expected a folder"):
        ResultStore(part)
