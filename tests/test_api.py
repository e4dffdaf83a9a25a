"""`import microdesign as md`: quick, complete, and every example runs."""

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import microdesign as md

LIBRARIES = {"torch", "ray", "mlflow", "botorch", "scipy", "matplotlib", "numba", "numpy", "pandas", "pydantic"}


def test_the_import_brings_no_library() -> None:
    code = f"import sys, microdesign; print(sorted({LIBRARIES!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_public_name_is_there_and_documented() -> None:
    assert set(md.__all__) <= set(dir(md))
    assert {name for name in md.__all__ if name != "__version__"} == set(md._HOMES)
    for name in md._HOMES:
        found = getattr(md, name)
        assert found.__doc__, name
        assert getattr(importlib.import_module(f"microdesign.{md._HOMES[name]}"), name) is found
    with pytest.raises(AttributeError, match="module 'microdesign' has no attribute 'homogenise'"):
        _ = md.homogenise


def test_the_examples_of_the_public_functions_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runner, finder = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE), doctest.DocTestFinder()
    for home in sorted(set(md._HOMES.values())):
        module = importlib.import_module(f"microdesign.{home}")
        for example in finder.find(module, module.__name__):
            runner.run(example)
    assert runner.tries > 0
    assert runner.failures == 0
