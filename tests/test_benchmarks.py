"""What benchmarks measure is there to be measured: their parts can be loaded."""

import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def test_every_measurement_can_be_loaded() -> None:
    names = sorted(f"measurements.{path.stem}" for path in (BENCHMARKS / "measurements").glob("[a-z]*.py"))
    assert names
    code = f"import importlib; [importlib.import_module(name) for name in {names}]"
    done = subprocess.run([sys.executable, "-c", code], cwd=BENCHMARKS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
