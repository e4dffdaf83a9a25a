"""Lines of progress: what long work says while it runs, plain lines everywhere and a bar on a terminal."""

import re
import shutil
import sys
from collections.abc import Callable

Progress = Callable[[str], None]
"""Takes a line for people."""
Count = Callable[[int, int], None]
"""Takes how much is done, and of how much."""

_COUNT = re.compile(r"(\d+)/(\d+) [\w ]+$")
_BAR = 20


def silent(line: str) -> None:
    """Says nothing."""


def counted(progress: Progress, what: str) -> Count:
    """Turns (done, total) into lines such as `500/4000 images`."""
    return lambda done, total: progress(f"{done}/{total} {what}")


def show(line: str) -> None:
    """Prints a line on standard error; on a terminal, lines that end in a count become one line with a bar.

    Standard output is left to a command's own answer.
    """
    if not sys.stderr.isatty():
        print(line, file=sys.stderr, flush=True)
        return
    count = _COUNT.search(line)
    done, total = (int(count[1]), int(count[2])) if count else (0, 0)
    filled = _BAR * min(done, total) // max(total, 1)
    bar = f"{'█' * filled}{'░' * (_BAR - filled)} " if count else ""
    running = count is not None and done < total
    if running:
        line = line[: shutil.get_terminal_size().columns - len(bar) - 1]
    # Back to the start of the line, and away with the bar that may stand there.
    print(f"\r\x1b[K{bar}{line}", end="" if running else "\n", file=sys.stderr, flush=True)
