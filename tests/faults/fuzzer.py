"""Tries of one kind: each changes a sound file and reads it; the outcome is a read or one sentence, or a failure."""

import signal
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import numpy as np

from microdesign.core.errors import InputError
from tests.faults.kinds import KINDS

SECONDS = 5.0
"""Processor time that reading a file of a few kilobytes may take."""
_LONGEST = 1000


class HangError(BaseException):
    """Reading took longer than `SECONDS`."""


@dataclass(frozen=True)
class Try:
    """One outcome: `read`, `other` (content that differs), `refused`, or the failures `passed`, `hang`, `error`."""

    kind: str
    number: int
    outcome: str
    text: str = ""

    @property
    def failed(self) -> bool:
        """Whether this must not happen."""
        return self.outcome not in ("read", "other", "refused")


def tries(name: str, start: int, stop: int) -> Iterator[Try]:
    """Makes the tries of a kind with these numbers; a number's change is the same in every run."""
    kind = KINDS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        file = kind.make(path)
        sound = file.read_bytes()
        expected = str(kind.read(path))
        for number in range(start, stop):
            stream = np.random.default_rng([number, *name.encode()])
            changed = kind.mutate(sound, stream)
            file.write_bytes(changed)
            try:
                with _bounded(), warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
                    found = str(kind.read(path))
            except InputError as error:
                yield _refusal(name, number, str(error))
            except HangError:
                yield Try(name, number, "hang", f"more than {SECONDS:g} s")
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                yield Try(name, number, "error", "".join(traceback.format_exception(error)[-3:]))
            else:
                same = found == expected
                passed = kind.sealed and not same and changed != sound
                yield Try(name, number, "passed" if passed else "read" if same else "other")


def _refusal(name: str, number: int, text: str) -> Try:
    sentence = "\n" not in text and 0 < len(text) < _LONGEST + 300
    return Try(name, number, "refused" if sentence else "error", "" if sentence else f"no sentence: {text[:300]!r}")


@contextmanager
def _bounded() -> Iterator[None]:
    def end(_number: int, _frame: FrameType | None) -> None:
        raise HangError

    before = signal.signal(signal.SIGVTALRM, end)
    # Processor time, so that a busy machine does not count as a hang.
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
