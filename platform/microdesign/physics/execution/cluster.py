"""Ray for a command: the cluster that `RAY_ADDRESS` names, else a local one of this machine's cores."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from microdesign.core.errors import InputError, MicrodesignError

_TRIES = 4
"""Starts of a local Ray: Ray gives its node half a minute, which a machine with other work may need longer than."""


@contextmanager
def connected() -> Iterator[None]:
    """Connects to Ray for the block; a Ray that is connected already is used and left alone.

    Raises:
        InputError: The cluster at the address does not answer, or asks for a token.
        MicrodesignError: A local Ray does not start in time, as on a machine that is overloaded.
    """
    # Ray Train's and Tune's chatter is not ours; problems still come through.
    os.environ.setdefault("RAY_TRAIN_ENABLE_PRINT_PATCH", "0")
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    # At an interrupt Tune would stop the trials and go on as if the search were done.
    os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
    import ray

    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    if address is None:  # nobody takes this machine away; the watcher is one more process of every training
        os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
    logging.getLogger("ray").setLevel(logging.ERROR)
    for tries_left in reversed(range(1 if address else _TRIES)):
        try:
            # Workers' output goes to Ray's log files: standard output belongs to the command's own answer.
            ray.init(
                # Not None: that would quietly join whatever Ray happens to run on this machine.
                address=address or "local",
                log_to_driver=False,
                logging_level=logging.ERROR,
                include_dashboard=False if address is None else None,
            )
            break
        except Exception as error:  # no narrower: of a node that does not start in time Ray says so in a bare one
            if address is not None:
                raise InputError(f"The Ray cluster at {address} {_why(error)}") from None
            ray.shutdown()
            if not tries_left:
                raise MicrodesignError(
                    f"A local Ray did not start in {_TRIES} tries ({_reason(error)}); free the machine, or name a "
                    "cluster by RAY_ADDRESS."
                ) from None
    try:
        yield
    finally:
        ray.shutdown()


def _why(error: BaseException) -> str:
    """What keeps a cluster from answering. Ray turns a missing token into a lost connection; the cause tells."""
    if "InvalidAuthToken" in f"{error} {error.__cause__}":
        return "asks for a token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN unless ~/.ray/auth_token holds it."
    return f"does not answer ({_reason(error)}); check RAY_ADDRESS."


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
