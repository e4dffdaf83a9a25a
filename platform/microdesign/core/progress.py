"""Progress of long work: lines of text, and counts of what is done.

Work takes a `Progress`, and calls `progress("text")` and `progress.count(500, 4000, "images labelled")`; it knows
nothing of terminals. Who runs the work chooses how that is shown:

- `silent`: not at all, the default of every function;
- `Lines`: plain lines with a clock, for logs, files and jobs on a cluster;
- `Bar`: lines, and below them a bar with elapsed and remaining time, for a terminal;
- `Recorded`: kept in lists;
- `shown()`: the one of these that suits standard error.

Example:
    >>> progress = Lines(print, clock=False)
    >>> progress("training starts")
    training starts
    >>> progress.count(4000, 4000, "images labelled")
    4000/4000 images labelled
    >>> Stage(progress, "train")("epoch 1/3")
    train: epoch 1/3
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

SECONDS_BETWEEN_COUNTS = 5.0
"""Least time between two lines of one count; the last line of a count always comes."""
_COLUMNS_OF_A_BAR = 75
"""Least width of a terminal that shows more than the numbers."""


class Progress(Protocol):
    """Takes what long work reports. A call may come from any thread."""

    def __call__(self, text: str, /) -> None:
        """Reports an event, one line for people."""
        ...

    def count(self, done: int, total: int | None, what: str) -> None:
        """Reports how much is done.

        Args:
            done: Number of things that are done, from 0 to `total`.
            total: Number of things in all; None while it is not known. The count ends when `done` reaches it.
            what: The things, such as `images labelled`; it also tells counts that run at the same time apart.
        """
        ...


class Silent:
    """Shows nothing."""

    def __call__(self, text: str, /) -> None:
        """Drops the text."""

    def count(self, done: int, total: int | None, what: str) -> None:
        """Drops the count."""


silent = Silent()
"""The `Progress` that shows nothing."""


class Recorded:
    """Keeps everything, for a program that shows it in its own way, and for tests.

    Attributes:
        texts: The texts.
        counts: The counts, as (done, total, what).
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.counts: list[tuple[int, int | None, str]] = []

    def __call__(self, text: str, /) -> None:
        """Keeps the text."""
        self.texts.append(text)

    def count(self, done: int, total: int | None, what: str) -> None:
        """Keeps the count."""
        self.counts.append((done, total, what))


class Lines:
    """Writes each text, and counts every few seconds, as a line that starts with the time since its making.

    Args:
        write: Takes a line without its end, such as `print` or a logger's `info`; None prints to standard error.
        clock: Whether a line starts with the time, such as `[  12 s]`.
        interval: Least seconds between two lines of one count.
    """

    def __init__(
        self,
        write: Callable[[str], object] | None = None,
        clock: bool = True,
        interval: float = SECONDS_BETWEEN_COUNTS,
    ) -> None:
        self._write, self._clock, self._interval = write or _print_to_stderr, clock, interval
        self._started = time.monotonic()
        self._counts: dict[str, _Count] = {}

    def __call__(self, text: str, /) -> None:
        """Writes the text."""
        self._write(f"[{time.monotonic() - self._started:4.0f} s] {text}" if self._clock else text)

    def count(self, done: int, total: int | None, what: str) -> None:
        """Writes `500/4000 images labelled, 12 s left` every `interval` seconds, and always the last count."""
        now = time.monotonic()
        count = self._counts.setdefault(what, _Count(now, done, now))
        ended = total is not None and done >= total
        if ended:
            del self._counts[what]
        elif now - count.written < self._interval:
            return
        count.written = now
        left = "" if ended or total is None else count.remaining(now, done, total)
        self(f"{_amount(done, total)} {what}{left}")


class Bar:
    """Writes texts as `Lines` does, and shows counts as a bar with elapsed and remaining time below them.

    Texts are never cut or wrapped. Colours follow the terminal and `NO_COLOR`. Call `close()` in the end, also after an
    error: the terminal's cursor is hidden while a bar is shown.

    Args:
        console: Where to draw; None takes standard error.
        clock: Whether a text starts with the time.
    """

    def __init__(self, console: "Console | None" = None, clock: bool = True) -> None:
        self._console = console
        self._bar: RichProgress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._lines = Lines(self._print, clock)

    def __call__(self, text: str, /) -> None:
        """Writes the text above the bar."""
        self._lines(text)

    def count(self, done: int, total: int | None, what: str) -> None:
        """Moves the bar of `what`; a bar that is full becomes a line."""
        bar = self._bar = self._bar or self._new_bar()
        if what not in self._tasks:
            self._tasks[what] = bar.add_task(what, total=total)
        task = self._tasks[what]
        bar.update(task, completed=done, total=total)
        if total is not None and done >= total:
            elapsed = bar.tasks[bar.task_ids.index(task)].elapsed or 0.0
            bar.remove_task(self._tasks.pop(what))
            if not self._tasks:
                self.close()
            self(f"{_amount(done, total)} {what} in {elapsed:.0f} s")

    def close(self) -> None:
        """Takes the bar away and gives the cursor back."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = None
        self._tasks.clear()

    def _print(self, text: str) -> None:
        self._stderr().print(text, markup=False, highlight=False, soft_wrap=True)

    def _stderr(self) -> "Console":
        if self._console is None:
            from rich.console import Console  # rich takes a tenth of a second to import

            self._console = Console(stderr=True)
        return self._console

    def _new_bar(self) -> "RichProgress":
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        amount = (MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
        times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        # rich would rather cut digits than leave a column out.
        wide = self._stderr().width >= _COLUMNS_OF_A_BAR
        columns = (BarColumn(bar_width=20), *amount, *times) if wide else amount
        # Standard output is left to a command's own answer, also while a bar is shown.
        bar = RichProgress(*columns, console=self._stderr(), transient=True, redirect_stdout=False)
        bar.start()
        return bar


class Stage:
    """Puts the name of a stage of the work before each text; counts say themselves what they count.

    Args:
        progress: Takes the texts and the counts.
        name: Of the stage.
    """

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress, self._name = progress, name

    def __call__(self, text: str, /) -> None:
        """Reports the text as that of the stage."""
        self._progress(f"{self._name}: {text}")

    def count(self, done: int, total: int | None, what: str) -> None:
        """Reports the count."""
        self._progress.count(done, total, what)


@contextmanager
def shown(quiet: bool = False) -> Iterator[Progress]:
    """Yields the `Progress` that suits standard error: a `Bar` on a terminal, `Lines` elsewhere.

    Args:
        quiet: Whether to show nothing.
    """
    if quiet or not sys.stderr.isatty():
        yield silent if quiet else Lines()
        return
    bar = Bar()
    try:
        yield bar
    finally:
        bar.close()


@dataclass
class _Count:
    """When a count began, with how much done already, and when its last line was written."""

    started: float
    begun_with: int
    written: float

    def remaining(self, now: float, done: int, total: int) -> str:
        rate = (done - self.begun_with) / max(now - self.started, 1e-9)
        return f", {(total - done) / rate:.0f} s left" if rate > 0 else ""


def _amount(done: int, total: int | None) -> str:
    return f"{done}" if total is None else f"{done}/{total}"


def _print_to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
