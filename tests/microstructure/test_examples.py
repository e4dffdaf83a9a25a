"""The examples of docstrings, and what the public functions import."""

import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import microdesign.microstructure


def test_the_examples_of_docstrings_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tried = 0
    for found in pkgutil.walk_packages(microdesign.microstructure.__path__, "microdesign.microstructure."):
        result = doctest.testmod(importlib.import_module(found.name))
        assert result.failed == 0, found.name
        tried += result.attempted
    assert tried > 20


HEAVY = {"torch", "scipy", "numba", "matplotlib", "pandas", "sklearn", "ray", "mlflow"}
PROGRAM = """
import sys
from microdesign.core.config import load_config
from microdesign.microstructure.generators.dataset_generation import GenerateConfig
from microdesign.microstructure.generators.registry import generate
from microdesign.microstructure.io.convert import convert
from microdesign.microstructure.io.readers import describe, read
from microdesign.microstructure.io.writers import write
from microdesign.microstructure.statistics.table import statistics

load_config(GenerateConfig)
write("a.npy", read("a.npz"))
repr(read("a.npy")), read("a.npy")._repr_html_()
describe("a.npy")
convert("a.npy", "a.tif")
print(*{name.partition(".")[0] for name in sys.modules})
"""


def test_reading_writing_and_describing_import_no_heavy_library(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", np.eye(8, dtype=int))
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert not HEAVY & set(done.stdout.split())
