"""A process of `LocalRunner`: reads what to evaluate, then evaluates one image after the other.

`python -m microdesign.design.campaign.runners.worker FILE_DESCRIPTOR`, which is one end of a `multiprocessing` pipe.
It reads a `RunnerTask`, answers with an empty string or why that cannot be loaded, and then reads pairs of a key and an
image and answers each with a `TrialResult`; it ends with its pipe.
"""

import signal
import sys
from contextlib import suppress
from multiprocessing.connection import Connection

import cloudpickle


def serve(pipe: Connection) -> None:
    """Evaluates what comes through the pipe until it is closed."""
    try:
        task = cloudpickle.loads(pipe.recv_bytes())
        from microdesign.design.campaign.runners.evaluation import evaluate_one
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")
        return
    pipe.send("")
    while True:
        key, image = pipe.recv()
        pipe.send(evaluate_one(task, key, image))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that began this one
    with suppress(EOFError, OSError):  # the end of the pipe is the end of this process
        serve(Connection(int(sys.argv[1])))
