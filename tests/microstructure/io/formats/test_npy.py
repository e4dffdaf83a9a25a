import pickle
from pathlib import Path

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.io.formats.npy import NpyReader, read_npy, write_npy


def test_reads_any_integral_type(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 2, (7, 6, 5))
    for dtype in (bool, np.uint8, np.int64, np.float32):
        np.save(tmp_path / "a.npy", labels.astype(dtype))
        batch = read_npy(tmp_path / "a.npy")
        np.testing.assert_array_equal(batch.labels, labels, str(dtype))
        assert batch.n_phases == 2, dtype
        assert [len(part) for part in NpyReader().read(tmp_path / "a.npy", chunk=3)] == [3, 3, 1], dtype


def test_one_image_and_phases(tmp_path: Path) -> None:
    image = np.arange(12).reshape(3, 4) % 4
    np.save(tmp_path / "a.npy", np.asfortranarray(image))
    assert read_npy(tmp_path / "a.npy").n_phases == 4
    assert read_npy(tmp_path / "a.npy", n_phases=6).n_phases == 6
    np.testing.assert_array_equal(read_npy(tmp_path / "a.npy").labels[0], image)
    with pytest.raises(
        InputError, match=r"a.npy: from image 0 on, labels\[0, 0, 2\] = 2; expected 0 to 1 for 2 phases"
    ):
        read_npy(tmp_path / "a.npy", n_phases=2)


def test_round_trip(tmp_path: Path) -> None:
    batch = Microstructures(labels=np.random.default_rng(0).integers(0, 3, (4, 5, 6)), n_phases=3)
    write_npy(tmp_path / "many.npy", batch)
    np.testing.assert_array_equal(read_npy(tmp_path / "many.npy").labels, batch.labels)
    write_npy(tmp_path / "one.npy", batch.select([2]))
    assert np.load(tmp_path / "one.npy").shape == (5, 6)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["many.npy", "one.npy"]


def test_refuses_arrays(tmp_path: Path) -> None:
    for array, message in [
        (np.array([[0.0, np.nan], [1.0, 0.0]]), r"holds nan at index \[0, 0, 1\]; expected phase labels, not missing"),
        (np.array([[0.0, 0.5], [1.0, 0.0]]), r"holds 0.5 at index \[0, 0, 1\]; expected integer phase labels"),
        (np.array([[0, -1], [1, 0]]), r"holds -1 at index \[0, 0, 1\]; expected phase labels 0 to 255"),
        (np.array([[0, 256], [1, 0]]), r"holds 256 at index \[0, 0, 1\]"),
        (np.array([[0.0, np.inf], [1.0, 0.0]]), "holds inf"),
        (np.zeros(4, int), r"has shape \(4,\); expected one image \(X, Y\), a stack \(n, X, Y\), or volumes"),
        (np.zeros((1, 2, 2, 2, 2), int), r"has shape \(1, 2, 2, 2, 2\); expected one image"),
        (np.zeros((0, 2, 2), int), r"has shape \(0, 2, 2\), without pixels"),
        (np.array([["a", "b"]]), "has dtype <U1; expected integer phase labels"),
        (np.array([[1 + 1j, 0]]), "has dtype complex128"),
        (np.array([[0, None]], dtype=object), "pickled Python objects, which are never loaded"),
    ]:
        np.save(tmp_path / "a.npy", array, allow_pickle=True)
        with pytest.raises(InputError, match=message) as caught:
            read_npy(tmp_path / "a.npy")
        assert str(tmp_path / "a.npy") in str(caught.value)


class Trap:
    def __reduce__(self) -> tuple:
        return (pytest.fail, ("a pickle was loaded",))


def test_refuses_files(tmp_path: Path) -> None:
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match=r"pickle\.npy: is a pickle, which is never loaded"):
        read_npy(tmp_path / "pickle.npy")
    np.save(tmp_path / "object.npy", np.array([[Trap()]], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="never loaded"):
        read_npy(tmp_path / "object.npy")
    (tmp_path / "text.npy").write_text("0 1\n1 0\n")
    with pytest.raises(InputError, match=r"text\.npy: is no NumPy array file"):
        read_npy(tmp_path / "text.npy")
    np.save(tmp_path / "whole.npy", np.zeros((8, 8), np.uint8))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "whole.npy").read_bytes()[:-10])
    with pytest.raises(InputError, match=r"cut\.npy: is damaged or truncated"):
        read_npy(tmp_path / "cut.npy")
    (tmp_path / "head.npy").write_bytes((tmp_path / "whole.npy").read_bytes()[:20])
    with pytest.raises(InputError, match=r"head\.npy: is damaged or truncated"):
        read_npy(tmp_path / "head.npy")
    with pytest.raises(InputError, match=r"absent\.npy: cannot be read"):
        read_npy(tmp_path / "absent.npy")
