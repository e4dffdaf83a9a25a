"""`microdesign export`, as a user runs it."""

import json
from pathlib import Path

import numpy as np

from tests.cases import case
from tests.cli.conftest import Command

SQUARES = np.kron([[0, 1], [1, 0]], np.ones((4, 4), np.uint8))


def test_candidates_become_files_named_after_them(command: Command, tmp_path: Path) -> None:
    for name in ("candidate-1", "candidate-2"):
        np.save(tmp_path / f"{name}.npy", SQUARES)
    done = command("export", "candidate-1.npy", "candidate-2.npy", "--to", "inp", "--materials", "aluminium,silicon")
    assert done.code == 0, done.err
    assert "exported/candidate-1.inp" in done.out
    assert (tmp_path / "exported" / "candidate-2.inp").exists()
    done = command("export", "candidate-1.npy", "--to", "stl", "--pixel-size", "0.5um", "--out", "print", "--json")
    (entry,) = json.loads(done.out)
    assert entry["files"] == ["print/candidate-1-phase-0.stl", "print/candidate-1-phase-1.stl"]
    assert "lengths in um" in entry["notes"]


def test_what_cannot_be_exported_is_one_sentence_and_leaves_nothing(command: Command, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", SQUARES)
    (tmp_path / "other").mkdir()
    np.save(tmp_path / "other" / "a.npy", SQUARES)
    np.save(tmp_path / "cube.npy", np.zeros((20, 20, 20), np.uint8))
    before = sorted(tmp_path.rglob("*"))
    for arguments, said in [
        (("a.npy", "--to", "step"), "a STEP file"),
        (("a.npy", "--to", "inp"), "give them by --materials"),
        (("a.npy", "other/a.npy", "--to", "svg"), "would both be exported as 'a'"),
        (("cube.npy", "--to", "stl"), "say which by --dims 2 or --dims 3"),
        (("missing.npy", "--to", "stl"), "does not exist"),
        (("a.npy", "--to", "vtu", "--out", "a.npy"), "is a file; expected a folder"),
        (("a.npy", "--to", "svg", "--phase", "3"), "has no phase 3"),
    ]:
        with case(arguments=arguments):
            done = command("export", *arguments)
            assert done.code == 2
            assert said in done.err
            assert done.err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before
