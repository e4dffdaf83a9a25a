"""A format of the user's own, named `module:name`."""

import sys
from pathlib import Path

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.io.convert import convert
from microdesign.microstructure.io.readers import READERS, describe, find_reader, read
from microdesign.microstructure.io.writers import write

MODULE = """
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.io.options import ReadOptions
from microdesign.microstructure.io.protocol import Reader, Writer


class TextReader(Reader):
    name = ".txt"

    def accepts(self, path: Path) -> bool:
        return path.suffix == ".txt"

    def read(self, path: Path, chunk: int | None, options: ReadOptions) -> Iterator[Microstructures]:
        yield Microstructures(labels=np.loadtxt(path, dtype=int)[None], n_phases=2)


class TextWriter(Writer):
    suffixes = (".txt",)
    stores = ()

    def write(self, path: Path, images: Iterable[Microstructures]) -> Path:
        for batch in images:
            np.savetxt(path, batch.labels[0], fmt="%d")
        return path


class Nothing:
    name = "nothing"
    suffixes = ()
"""


@pytest.fixture
def text_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "text_format.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("text_format", None)
    return "text_format"


def test_a_format_of_ones_own(tmp_path: Path, text_format: str) -> None:
    batch = Microstructures(labels=np.eye(4, dtype=int)[None], n_phases=2, pixel_size=2.0)
    path = write(tmp_path / "a.txt", batch, f"{text_format}:TextWriter")
    with pytest.raises(InputError, match=r"the suffix '\.txt' is not known"):
        read(path)
    assert read(path, reader=f"{text_format}:TextReader").labels.tolist() == batch.labels.tolist()
    assert describe(path, reader=f"{text_format}:TextReader")["shape"] == [4, 4]
    done = convert(path, tmp_path / "a.npy", reader=f"{text_format}:TextReader")
    assert (done["format"], done["images"]) == ("npy", 1)
    back = convert(tmp_path / "a.npy", tmp_path / "b.txt", to=f"{text_format}:TextWriter")
    assert back["format"] == f"{text_format}:TextWriter"
    assert (tmp_path / "b.txt").read_text() == path.read_text()


def test_a_registered_reader_is_found_by_what_it_accepts(
    tmp_path: Path, text_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(READERS, "text", f"{text_format}:TextReader")
    (tmp_path / "a.txt").write_text("0 1\n1 0\n")
    assert find_reader(tmp_path / "a.txt").name == ".txt"
    assert read(tmp_path / "a.txt").labels.tolist() == [[[0, 1], [1, 0]]]


def test_refuses(tmp_path: Path, text_format: str) -> None:
    np.save(tmp_path / "a.npy", np.eye(4, dtype=int))
    batch = Microstructures(labels=np.eye(4, dtype=int)[None], n_phases=2)
    for name, message in [
        ("text", "reader 'text' is unknown; expected one of: npy, npz, .*, or MODULE:CLASS of a Reader"),
        ("no_module:A", "reader 'no_module:A' cannot be loaded .*; expected one of: npy"),
        (f"{text_format}:Absent", "reader 'text_format:Absent' cannot be loaded"),
        (f"{text_format}:Nothing", "reader 'text_format:Nothing' has no 'takes'; expected the attributes of Reader"),
    ]:
        with pytest.raises(InputError, match=message):
            read(tmp_path / "a.npy", reader=name)
    for name, message in [
        ("no_module:A", "writer 'no_module:A' cannot be loaded"),
        (f"{text_format}:Nothing", "writer 'text_format:Nothing' has no 'stores'; expected the attributes of Writer"),
    ]:
        with pytest.raises(InputError, match=message):
            write(tmp_path / "b", batch, name)
