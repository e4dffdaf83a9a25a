"""Two ways to run `microdesign ...`: in this process, which is fast, and as a user does, in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from microdesign.cli.main import main

PROGRAM = Path(sys.executable).parent / "microdesign"
PHASES = [{"E": 1, "nu": 0.3, "k": 1}, {"E": 100, "nu": 0.3, "k": 100}]


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `microdesign ...` in this process, in an empty folder that holds what `files` writes."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["microdesign", *map(str, arguments)])
        code: Any = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `microdesign ...` as it is installed, in an empty folder, with variables of the environment as keywords."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, **variables: str) -> Done:
        line = [str(PROGRAM), *map(str, arguments)]
        environment = {**os.environ, **variables}
        done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=120, check=False)
        return Done(done.returncode, done.stdout, done.stderr)

    return run


def materials(**changes: Any) -> Path:
    """Writes `materials.yaml`: two phases of contrast 100, with changes."""
    Path("materials.yaml").write_text(yaml.safe_dump({"phases": PHASES} | changes))
    return Path("materials.yaml")


def golden_image() -> Path:
    """Writes `golden.npy`, 16 x 16: two rectangles of phase 1."""
    image = np.zeros((16, 16), np.uint8)
    image[2:9, 3:13] = 1
    image[9:14, 3:7] = 1
    np.save("golden.npy", image)
    return Path("golden.npy")


def refused(done: Done, *parts: str) -> None:
    """Exit code 2, nothing on standard output, one line that names the trouble, after those of the progress."""
    assert done.code == 2, done
    assert done.out == "", done
    *progress, trouble = done.err.splitlines()
    assert all(line.startswith("[") for line in progress), done
    assert trouble.startswith("microdesign: "), done
    for part in parts:
        assert part in done.err, (part, done)
