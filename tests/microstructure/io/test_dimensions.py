"""Three similar axes are not guessed to be images or a volume; files that know pass."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.io.dimensions import refuse_open_dimensions
from microdesign.microstructure.io.options import ReadOptions
from microdesign.microstructure.io.readers import describe, read
from microdesign.microstructure.io.writers import write
from microdesign.microstructure.statistics.table import statistics
from microdesign.microstructure.windows.sources import sources
from microdesign.physics.label_images import label_stacks, read_labels

SIDE = 16
OPEN = np.arange(SIDE**3).reshape(SIDE, SIDE, SIDE) % 2


def test_similar_axes() -> None:
    for shape, is_open in (
        ((20, 20, 20), True),
        ((16, 20, 24), True),
        ((4, 20, 20), False),
        ((64, 20, 20), False),
        ((8, 8, 8), False),
        ((2, 20, 20, 20), False),
        ((20, 20), False),
    ):
        for dims in (2, 3):
            refuse_open_dimensions(shape, dims, "a")
        if is_open:
            with pytest.raises(InputError, match=rf"has shape .* stack of {shape[0]} images .* --dims 2 or --dims 3"):
                refuse_open_dimensions(shape, None, "a")
        else:
            refuse_open_dimensions(shape, None, "a")


def test_files_that_do_not_say_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", OPEN)
    np.savez(tmp_path / "a.npz", labels=OPEN, x=np.zeros(SIDE))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["tomo"] = OPEN
    for path in (tmp_path / "a.npy", tmp_path / "a.npz", tmp_path / "a.h5"):
        for look in (read, read_labels, label_stacks):
            with pytest.raises(InputError, match="--dims 2 or --dims 3"):
                look(path)
        for dims, shape in ((2, (SIDE, SIDE)), (3, (SIDE, SIDE, SIDE))):
            assert read(path, dims=dims).shape == shape
            assert {each.labels.shape for each in read_labels(path, dims)} == {shape}
    for look in (label_stacks, statistics, lambda array: list(sources(array, ReadOptions(), None))):
        with pytest.raises(InputError, match="dims=2 or dims=3"):
            look(OPEN)
    assert len(statistics(OPEN, dims=3)) == 2
    assert len(statistics(OPEN, dims=2)) == 2 * SIDE


def test_files_that_know_are_not_asked(tmp_path: Path) -> None:
    """Archives of ours state their axes; a property or class for each entry of the first axis says that it counts."""
    stack = Microstructures(labels=OPEN.astype(np.uint8), n_phases=2)
    for name in ("a.npz", "a.tif", "folder"):
        path = write(tmp_path / name, stack)
        assert read(path).shape == (SIDE, SIDE), name
        assert [len(read_labels(path, dims)) for dims in (None, 2)] == [SIDE, SIDE], name
    for name, beside in (("kx", np.zeros(SIDE)), ("classes", np.array(["a"] * SIDE)), ("dims", np.array(2))):
        known: dict[str, Any] = {name: beside}
        np.savez(tmp_path / "known.npz", labels=OPEN, **known)
        assert read(tmp_path / "known.npz").shape == (SIDE, SIDE), name
    np.savez(tmp_path / "volume.npz", labels=OPEN, dims=np.array(3))
    assert read(tmp_path / "volume.npz").shape == OPEN.shape
    assert read(tmp_path / "volume.npz", dims=2).shape == (SIDE, SIDE)
    np.savez(tmp_path / "wrong.npz", labels=OPEN, dims=np.array(4))
    with pytest.raises(InputError, match="'dims' is 4; expected 2 or 3"):
        read(tmp_path / "wrong.npz")
    with h5py.File(tmp_path / "known.h5", "w") as file:
        file["images"], file["kx"] = OPEN, np.zeros(SIDE)
    assert read(tmp_path / "known.h5").shape == (SIDE, SIDE)


def test_describe_takes_the_dimensions(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", OPEN)
    with pytest.raises(InputError, match="--dims 2 or --dims 3"):
        describe(tmp_path / "a.npy")
    assert describe(tmp_path / "a.npy", options=ReadOptions(dims=3))["shape"] == [SIDE] * 3
    np.savez(tmp_path / "a.npz", labels=OPEN)
    assert "--dims 2 or --dims 3" in describe(tmp_path / "a.npz")["images"]
    assert describe(tmp_path / "a.npz", options=ReadOptions(dims=3))["samples"] == 1
