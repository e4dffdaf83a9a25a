"""Threads of torch that wait for each other sleep soon, unless the environment says otherwise."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("given", "expected"), [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "0")]
)
def test_waiting_threads_sleep_soon(given: dict[str, str], expected: str) -> None:
    """OpenMP itself prints what it goes by when torch loads it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    found = subprocess.run(
        [sys.executable, "-c", "import microdesign, torch"],
        env={**environment, **given, "OMP_DISPLAY_ENV": "VERBOSE"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in found.stderr.splitlines() if "GOMP_SPINCOUNT" in line]
    if not lines:
        pytest.skip("this torch brings an OpenMP that does not print its settings")
    assert f"'{expected}'" in lines[0]
