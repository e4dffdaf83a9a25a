"""What surrounds the work of a command: how much it says, Ray, and what an interrupt means."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass

from microdesign.cli.signals import end_now, ending
from microdesign.core.progress import Progress, shown


@dataclass
class Verbosity:
    """How much commands of this process say besides their results and errors.

    Attributes:
        quiet: Whether to show no progress.
        verbose: Whether to show the traceback of an error.
    """

    quiet: bool = False
    verbose: bool = False


verbosity = Verbosity()


@contextmanager
def working() -> Iterator[Progress]:
    """Yields the progress of work in this process; what libraries print goes to standard error."""
    with shown(verbosity.quiet) as progress, redirect_stdout(sys.stderr):
        yield progress


def announce(text: str) -> None:
    """Says what a command begins with, before what takes seconds to load."""
    with working() as progress:
        progress(text)


@contextmanager
def resumable() -> Iterator[Progress]:
    """As `working`, for a command that goes on from where it was interrupted when it is given again."""
    ending.goes_on = True
    with working() as progress:
        yield progress


@contextmanager
def on_ray() -> Iterator[Progress]:
    """As `resumable`, connected to Ray: the cluster that RAY_ADDRESS names, else a local one.

    Raises:
        InputError: The cluster does not answer.
    """
    address = os.environ.get("RAY_ADDRESS")
    announce(f"connecting to Ray at {address}" if address else "starting Ray on this machine")
    from microdesign.physics.execution.cluster import connected

    ending.goes_on = ending.at_once = True
    with connected(), _exit_on_interrupt(), working() as progress:
        ending.at_once = False
        try:
            yield progress
        finally:
            ending.at_once = True


@contextmanager
def _exit_on_interrupt() -> Iterator[None]:
    """Ends the process at an interrupt, when what is inside has ended in order, without what is around.

    Ray's shutdown crashes now and then when tasks are being cancelled; its processes end with this one.
    """
    try:
        yield
    except KeyboardInterrupt:
        end_now()
