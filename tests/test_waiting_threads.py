"""Threads of torch that wait for each other sleep, unless the environment says otherwise."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("given", "expected"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_waiting_threads_sleep(given: dict[str, str], expected: str) -> None:
    """OpenMP itself prints what it goes by when torch loads it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    found = subprocess.run(
        [sys.executable, "-c", "import microdesign, torch"],
        env={**environment, **given, "OMP_DISPLAY_ENV": "TRUE"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in found.stderr.splitlines() if "OMP_WAIT_POLICY" in line]
    if not lines:
        pytest.skip("this torch brings an OpenMP that does not print its settings")
    assert expected in lines[0]
