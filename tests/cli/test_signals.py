"""A command that is ended says one sentence, by the exit code of the signal, within seconds and without a trace."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from microdesign.core.errors import InputError
from microdesign.physics.execution import cluster
from microdesign.physics.execution.cluster import connected
from tests.cases import case

COMMAND = """
import sys, time
from microdesign.cli import main, session
def work():
    with session.{around}():
        print("working", file=sys.__stdout__, flush=True)
        while True:
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                if {orderly}:
                    raise
main.app.command("work")(work)
sys.argv = ["microdesign", "work"]
main.main()
"""
STARTING = """
import sys
from microdesign.cli import main, session
def work():
    print("working", file=sys.__stdout__, flush=True)
    with session.on_ray():
        print("started", file=sys.__stdout__, flush=True)
main.app.command("work")(work)
sys.argv = ["microdesign", "work"]
main.main()
"""
TERM, INT = signal.SIGTERM, signal.SIGINT


def ended(signals: list[int], command: str, after: float = 0.3) -> tuple[int, str, float]:
    """Exit code, standard error, and seconds from the last signal to the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "working\n"
    for number in signals:
        time.sleep(after)
        process.send_signal(number)
    start = time.monotonic()
    _, error = process.communicate(timeout=60)
    return process.returncode, error, time.monotonic() - start


def test_one_sentence_and_the_code_of_the_signal() -> None:
    goes_on = "; the same command goes on from here"
    for signals, around, orderly, code, text in (
        ([TERM], "resumable", True, 143, f"terminated{goes_on}"),
        ([TERM], "resumable", False, 143, f"terminated{goes_on}"),
        ([INT], "resumable", True, 130, f"interrupted{goes_on}"),
        ([INT, INT], "resumable", False, 130, f"interrupted{goes_on}"),
        ([INT, TERM], "working", False, 130, "interrupted"),
    ):
        with case(signals=signals, around=around, orderly=orderly):
            found, error, seconds = ended(signals, COMMAND.format(around=around, orderly=orderly))
            assert (found, error.strip()) == (code, f"microdesign: {text}")
            assert seconds < 10  # 5 on a machine without other work


@pytest.mark.ray
def test_signals_in_the_midst_of_rays_start() -> None:
    """Ray's own answer to SIGTERM is an exit of code 15, and an exception in the midst of its start may be lost."""
    for number, code, word in ((TERM, 143, "terminated"), (INT, 130, "interrupted")):
        with case(number=number):
            found, error, _ = ended([number], STARTING, after=1.5)
            assert found == code
            assert error.strip().splitlines()[-1] == f"microdesign: {word}; the same command goes on from here"
            assert "Traceback" not in error


def test_a_cluster_where_no_one_listens_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)  # tests before may have left a Ray in this process
    for address, text in (
        ("127.0.0.1:1", "does not answer"),
        ("ray://127.0.0.1:1", "does not answer"),
        ("no-such-host.invalid:6379", "does not answer"),
        ("head", "has no port; expected such as HOST:6379"),
        ("head:port", "has no port"),
    ):
        monkeypatch.setenv("RAY_ADDRESS", address)
        start = time.monotonic()
        with case(address=address), pytest.raises(InputError, match=text), connected():
            pass
        assert time.monotonic() - start < 30


def test_what_listens_and_is_no_ray_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr(cluster, "PROBE_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as mute, socket.create_server(("127.0.0.1", 0)) as web:

        def answer() -> None:
            while True:
                taken, _ = web.accept()
                taken.recv(100)
                taken.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                taken.close()

        threading.Thread(target=answer, daemon=True).start()
        for server, text in ((mute, "timed out"), (web, "what listens there is no Ray")):
            for scheme in ("", "ray://"):
                monkeypatch.setenv("RAY_ADDRESS", f"{scheme}127.0.0.1:{server.getsockname()[1]}")
                with pytest.raises(InputError, match=f"does not answer .{text}"), connected():
                    pass


def test_what_was_recorded_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file before it gets its name, the folder after: in this order nothing is lost at a power cut."""
    from microdesign.design.campaign.ledger import Ledger
    from tests.design.campaign.test_ledger import IDENTITY, trial

    events: list[str] = []
    real = os.fsync

    def noted(place: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{place}"))
        names = sorted(each.name for each in path.glob("part-*")) if path.is_dir() else []
        events.append(f"{path.name[:6]} {len(names)}")
        real(place)

    ledger = Ledger(str(tmp_path / "c"), IDENTITY)
    monkeypatch.setattr(os, "fsync", noted)
    ledger.record([trial(0)])
    assert events == [".part- 0", "evalua 1"]
