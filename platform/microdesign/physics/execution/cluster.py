"""Ray for a command: the cluster that `RAY_ADDRESS` names, else a local one of this machine's cores."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from microdesign.core.errors import InputError, MicrodesignError

PROBE_SECONDS = 10.0
"""Seconds that the head of a cluster has to take a connection, and then to answer."""
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
    if address is not None:
        refuse_dead(address)
    try:
        _start(address)
        yield
    finally:
        ray.shutdown()


def _start(address: str | None) -> None:
    """Connects to the cluster, or starts a local Ray; leaves SIGTERM to whom it belonged."""
    import ray

    own = threading.current_thread() is threading.main_thread()
    on_termination = signal.getsignal(signal.SIGTERM) if own else None
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
        except SystemExit:  # Ray's answer to SIGTERM from the first moment of its start on
            if callable(on_termination):
                on_termination(signal.SIGTERM, None)
            raise
        except Exception as error:  # no narrower: of a node that does not start in time Ray says so in a bare one
            if address is not None:
                raise InputError(f"The Ray cluster at {address} {_why(error)}") from None
            ray.shutdown()
            if not tries_left:
                raise MicrodesignError(
                    f"A local Ray did not start in {_TRIES} tries ({_reason(error)}); free the machine, or name a "
                    "cluster by RAY_ADDRESS."
                ) from None
    if own and on_termination is not None:
        # Ray takes the signal for itself, and ends by a trace of its stack.
        signal.signal(signal.SIGTERM, on_termination)


def refuse_dead(address: str) -> None:
    """Refuses an address at which no one listens, within `PROBE_SECONDS`; Ray itself would try for many minutes.

    Args:
        address: As `RAY_ADDRESS` has it: `HOST:6379`, `ray://HOST:10001`; `auto` and `local` are left to Ray.

    Raises:
        InputError: No host of that name, no port in the address, or no one listens there, or no Ray.
    """
    if address in ("auto", "local"):
        return
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if not separator or not port.isascii() or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise InputError(f"RAY_ADDRESS {address}: has no port; expected such as HOST:6379 or ray://HOST:10001.")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_SECONDS) as probe:
            if os.environ.get("RAY_USE_TLS", "0") != "1" and not _speaks_http2(probe):
                raise ConnectionError("what listens there is no Ray")
    except (OSError, UnicodeError) as error:
        raise InputError(f"The Ray cluster at {address} {_why(error)}") from None


def _speaks_http2(probe: socket.socket) -> bool:
    """Whether a server of gRPC answers a connection's first frame: it sends its own settings, a frame of type 4.

    Raises:
        OSError: It does not answer in time.
    """
    probe.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))
    answer = probe.recv(9)
    return len(answer) > 3 and answer[3] == 4


def _why(error: BaseException) -> str:
    """What keeps a cluster from answering. Ray turns a missing token into a lost connection; the cause tells."""
    if "InvalidAuthToken" in f"{error} {error.__cause__}":
        return "asks for a token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN unless ~/.ray/auth_token holds it."
    return f"does not answer ({_reason(error)}); check RAY_ADDRESS."


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
