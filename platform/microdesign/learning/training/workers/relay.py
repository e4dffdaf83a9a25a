"""From the workers to people: what they put into a queue is told while they go on."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from ray.util.queue import Empty, Queue

_NOT_TERMS = ("loss", "learning_rate", "samples_per_second", "progress", "physics_answered")


def describe(metrics: Mapping[str, float]) -> str:
    """One line for people: loss and its terms, validation, speed."""
    terms = ", ".join(
        f"{name} {value:.3g}"
        for name, value in metrics.items()
        if name not in _NOT_TERMS and not name.startswith("validation_")
    )
    parts = [f"loss {metrics['loss']:.4f} ({terms})"]
    if "validation_loss" in metrics:
        parts.append(f"validation: loss {metrics['validation_loss']:.4f}")
    if "validation_r2" in metrics:
        parts[-1] += f", R2 {metrics['validation_r2']:.3f}, MAPE {100 * metrics['validation_mape']:.1f} %"
    if metrics.get("physics_answered", 1.0) < 1:
        parts.append(f"physics answers for {metrics['physics_answered']:.0%} of the decodes")
    return "; ".join([*parts, f"{metrics['samples_per_second']:.0f} images/s"])


def expected_epochs(done: int, progress: float) -> int:
    """How many epochs a run will have, by the share of it that is over; fewer than planned if its time is limited."""
    return max(done, round(done / progress)) if progress > 0 else done


@contextmanager
def relayed(messages: Queue, tell: Callable[..., None]) -> Iterator[None]:
    """Takes messages from the queue while the block runs and passes what they hold to `tell`; workers do not wait.

    Args:
        messages: Tuples of arguments for `tell`.
        tell: For people and for MLflow.

    Raises:
        Exception: What `tell` raised first, after the block: training itself goes on.
    """
    finished, failure = threading.Event(), list[Exception]()

    def relay() -> None:
        while True:
            try:
                message = messages.get(timeout=0.5)
            except Empty:
                if finished.is_set():
                    return
                continue
            try:
                tell(*message)
            except Exception as error:
                failure.append(error)

    thread = threading.Thread(target=relay, daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
        messages.shutdown()
    if failure:
        raise failure[0]
