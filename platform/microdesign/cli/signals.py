"""SIGTERM and Ctrl-C: the work ends in order, or within seconds without it, by one sentence and without a trace.

Ray's libraries answer a signal that reaches them with a trace of their own stack and an abort, and the interpreter
runs its handlers only between two steps of Python. So a thread of its own waits for signals too, and ends the process
where the work has not: at a second Ctrl-C at once, and `GRACE` seconds after SIGTERM.
"""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Never

import psutil

GRACE = 4.0
"""Seconds that the work has to end in order after SIGTERM; `docker stop` and Kubernetes give 10 and 30."""
INTERRUPTED, TERMINATED = 130, 143
"""Exit codes: 128 and the number of the signal, as shells give them."""


@dataclass
class Ending:
    """How this process is being ended.

    Attributes:
        code: The exit code of the signal that came first; 130 before there is one.
        goes_on: Whether the command goes on from here when it is given again.
        at_once: Whether there is nothing to end in order, as while Ray starts, where an exception may be lost.
        came: How many signals have come.
    """

    code: int = INTERRUPTED
    goes_on: bool = False
    at_once: bool = False
    came: int = 0

    def __str__(self) -> str:
        what = "terminated" if self.code == TERMINATED else "interrupted"
        return f"{what}; the same command goes on from here" if self.goes_on else what


ending = Ending()


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Raises KeyboardInterrupt at the first SIGTERM or Ctrl-C, and ends the process where that does not.

    Outside the main thread, where Python knows no signals, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ending.code, ending.goes_on, ending.at_once, ending.came = INTERRUPTED, False, False, 0
    before = {number: signal.signal(number, _raise) for number in (signal.SIGINT, signal.SIGTERM)}
    waiting, told = socket.socketpair()
    told.setblocking(False)
    old = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(waiting,), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(old)
        for number, handler in before.items():
            signal.signal(number, handler)
        told.close()


def end_now() -> Never:
    """Ends the process by the sentence, without what is around: Ray's shutdown may crash while tasks are cancelled."""
    with suppress(OSError, ValueError):
        # Not by print: the thread that was interrupted may hold the lock of the stream.
        os.write(sys.stderr.fileno(), f"microdesign: {ending}\n".encode())
    # Not all of Ray's processes end with their parent, least of all those that have just begun.
    with suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
    os._exit(ending.code)


def _raise(number: int, _frame: FrameType | None) -> None:
    if not ending.came:
        ending.code = _code_of(number)
    ending.came += 1
    while ending.at_once:  # the watching thread is ending the process
        time.sleep(0.1)
    raise KeyboardInterrupt


def _code_of(number: int) -> int:
    return TERMINATED if number == signal.SIGTERM else INTERRUPTED


def _watch(waiting: socket.socket) -> None:
    """Counts signals as they come; the handler may be waiting for the interpreter."""
    seen = 0
    while data := _received(waiting):
        for number in data:
            if number not in (signal.SIGINT, signal.SIGTERM):
                continue
            seen += 1
            if seen == 1:
                ending.code = _code_of(number)
            if seen > 1 or ending.at_once:
                end_now()
            if number == signal.SIGTERM:
                timer = threading.Timer(GRACE, end_now)
                timer.daemon = True
                timer.start()


def _received(waiting: socket.socket) -> bytes:
    try:
        return waiting.recv(64)
    except OSError:
        return b""
