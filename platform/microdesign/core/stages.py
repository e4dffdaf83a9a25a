"""The stages of a long run, one after the other: their names before their lines, and what each of them took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from microdesign.core.errors import InputError
from microdesign.core.files import read_json, write_json
from microdesign.core.progress import Progress, Stage


class Stages:
    """Wall time of each stage, and the longest that it ever took: what an earlier run left costs no time again.

    Args:
        folder: Of the run; `stages.json` in it keeps the longest times.
        progress: Told when a stage starts and ends, and what it reports, with its name before each line.

    Attributes:
        seconds: Of each stage in this run.
    """

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._path, self._progress = folder / "stages.json", progress
        self._spent: dict[str, float] = read_json(self._path) if self._path.is_file() else {}
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[Progress]:
        """Times a stage; yields the progress that puts its name before its lines."""
        start = time.monotonic()
        self._say(name, "starts")
        yield Stage(self._progress, name)
        seconds = time.monotonic() - start
        longest = max(seconds, self._spent.get(name, 0.0))
        if seconds < longest / 2:
            self._say(name, f"done in {seconds:.1f} s, for an earlier run computed it in {longest:.0f} s")
        else:
            self._say(name, f"done in {seconds:.0f} s")
        write_json(self._path, self._spent | {name: longest})
        self._spent[name] = longest
        self.seconds[name] = round(seconds, 2)

    def _say(self, name: str, line: str) -> None:
        self._progress(f"{name}: {line}")


def check_own_folder(folder: Path, mark: str, of: str) -> None:
    """Refuses a folder with other things in it: what a long run makes is not mixed with them.

    Args:
        folder: It may be missing.
        mark: The file that a run of this kind writes into its folder first.
        of: The kind, such as `a demo`.

    Raises:
        InputError: It is a file, or holds files and no `mark`.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; choose a folder with --folder.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / mark).is_file():
        raise InputError(f"{folder}: holds other files and is no folder of {of}; choose another with --folder.")
