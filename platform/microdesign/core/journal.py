"""How far long work is, kept in its folder, so that whoever sees the folder can tell.

`progress.json` holds what the work has last reported, and of which process of which machine it is. A campaign needs
none: its ledger says more.

Example:
    >>> with journal(folder, "training", progress) as progress:  # doctest: +SKIP
    ...     progress("epoch 1/40: loss 0.31")
    ...     progress.count(1, 40, "epochs")
    >>> print(read_journal(folder))  # doctest: +SKIP
    training: running, 1 of 40 epochs; last: epoch 1/40: loss 0.31 (2 s ago)
"""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from microdesign.core.config import validate_config
from microdesign.core.files import read_json, write_text
from microdesign.core.progress import Progress

JOURNAL = "progress.json"
_SECONDS_BETWEEN_COUNTS = 1.0
State = Literal["running", "ended", "failed", "stopped", "not heard of"]


class Count(BaseModel):
    """How much of something is done.

    Attributes:
        what: The things.
        done: How many are done.
        total: Of how many; None while that is not known.
        begun_with: How many were done when this process began to count.
        begun: When that was, seconds since 1970.
        last: When the count last moved.
    """

    what: str
    done: int
    total: int | None
    begun_with: int
    begun: float
    last: float

    @property
    def per_minute(self) -> float | None:
        """The rate of this process; None before anything was done."""
        seconds = self.last - self.begun
        return 60 * (self.done - self.begun_with) / seconds if seconds > 0 and self.done > self.begun_with else None

    def __str__(self) -> str:
        if self.total is None:
            text = f"{self.done} {self.what}"
        else:
            text = f"{self.done} of {self.total} {self.what}"
        rate = self.per_minute
        if rate is None:
            return text
        text += f", {rate:.3g} a minute"
        if self.total is None or self.done >= self.total:
            return text
        return f"{text}, {duration(60 * (self.total - self.done) / rate)} left"


class JournalStatus(BaseModel):
    """How work stands by its journal.

    Attributes:
        kind: What it is, such as `training`.
        state: `running`; `ended`; `failed`, with an error; `stopped`, which the same command goes on with; `not heard
            of`, by another machine, whose processes cannot be seen from here.
        host: The machine.
        process: Its process there.
        started: When this process began, seconds since 1970.
        updated: When it last reported.
        text: The last line that it reported.
        error: What it failed with.
        counts: Latest count last.
    """

    kind: str
    state: State = "running"
    host: str
    process: int
    started: float
    updated: float
    text: str = ""
    error: str = ""
    counts: dict[str, Count] = {}

    def __str__(self) -> str:
        parts = [f"{self.kind}: {self.state}"]
        if self.state == "not heard of":
            parts = [f"{self.kind}: runs on {self.host}, or has been killed there"]
        if self.counts:
            parts.append(str(list(self.counts.values())[-1]))
        ago = f" ({duration(max(0.0, time.time() - self.updated))} ago)"
        if self.error:
            parts.append(f"{self.error}{ago}")
        elif self.text:
            parts.append(f"last: {self.text}{ago}")
        return "; ".join(parts)


class Journal:
    """Passes progress on, and keeps the latest of it in a folder.

    Args:
        folder: Of the work; nothing is kept before the work makes it.
        kind: What the work is.
        progress: Takes everything.
    """

    def __init__(self, folder: Path, kind: str, progress: Progress) -> None:
        self._path, self._progress = folder / JOURNAL, progress
        now = time.time()
        self._status = JournalStatus(
            kind=kind, host=socket.gethostname(), process=os.getpid(), started=now, updated=now
        )
        self._written = 0.0
        self._write()

    def __call__(self, text: str, /) -> None:
        """Passes on a line, and keeps it."""
        self._progress(text)
        self._status.text = text
        self._write()

    def count(self, done: int, total: int | None, what: str) -> None:
        """Passes on a count, and keeps it, at most once a second."""
        self._progress.count(done, total, what)
        now = time.time()
        known = self._status.counts.pop(what, None)
        begun_with, begun = (done, now) if known is None else (known.begun_with, known.begun)
        self._status.counts[what] = Count(
            what=what, done=done, total=total, begun_with=begun_with, begun=begun, last=now
        )
        if now - self._written >= _SECONDS_BETWEEN_COUNTS or done == total:
            self._write()

    def end(self, state: State, error: str = "") -> None:
        """Keeps how the work ended."""
        self._status.state, self._status.error = state, error
        self._write()

    def _write(self) -> None:
        self._status.updated = self._written = time.time()
        if self._path.parent.is_dir():  # work that fails from the start leaves nothing
            write_text(self._path, self._status.model_dump_json(indent=2) + "\n")


@contextmanager
def journal(folder: Path, kind: str, progress: Progress) -> Iterator[Progress]:
    """Yields progress that is kept in `progress.json` of a folder too, and how the work ends.

    Raises:
        StorageError: The folder cannot be written.
    """
    kept = Journal(folder, kind, progress)
    try:
        yield kept
    except BaseException as error:
        failed = isinstance(error, Exception)
        kept.end("failed" if failed else "stopped", str(error).strip().splitlines()[0] if failed and str(error) else "")
        raise
    kept.end("ended")


def read_journal(folder: Path) -> JournalStatus:
    """Reads how the work of a folder stands.

    Raises:
        InputError: There is no journal, or a damaged one.
    """
    path = folder / JOURNAL
    status = validate_config(JournalStatus, read_json(path), str(path))
    if status.state == "running" and not _lives(status):
        here = status.host == socket.gethostname()
        return status.model_copy(update={"state": "stopped" if here else "not heard of"})
    return status


def _lives(status: JournalStatus) -> bool:
    """Whether its process is one of this machine's, begun no later than the work."""
    if status.host != socket.gethostname():
        return False
    try:
        begun = Path(f"/proc/{status.process}").stat().st_ctime
    except OSError:
        try:
            os.kill(status.process, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True
    return begun <= status.started + 1


def duration(seconds: float) -> str:
    """Returns a time for people: `40 s`, `12 min`, `3.1 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
