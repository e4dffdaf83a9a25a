"""What a campaign needs of a machine that evaluates its designs: submit, poll and stop.

Built in are Ray tasks (`ray`) and processes of this machine (`local`); `module:name` is a runner of your own, such as
one that writes job scripts for a batch system. It takes part in `tests/design/campaign/runners/test_contract.py` by one
more line in the list there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

import numpy as np

from microdesign.core.errors import InputError
from microdesign.core.references import load_named
from microdesign.design.campaign.trials import TrialResult
from microdesign.physics.evaluators.protocol import Evaluator
from microdesign.physics.materials import Materials

EXPECTED = "ray, local or module:name"
_BUILT_IN = {
    "ray": ("microdesign.design.campaign.runners.ray", "RayRunner"),
    "local": ("microdesign.design.campaign.runners.local", "LocalRunner"),
}


@dataclass(frozen=True)
class RunnerTask:
    """What a runner is made for: one kind of evaluation, asked many times.

    Attributes:
        evaluator: The physics; it can be pickled by cloudpickle.
        materials: The phases.
        cpus: Processors that one evaluation takes.
        time_limit: Seconds after which an evaluation is ended; None waits for ever.
    """

    evaluator: Evaluator
    materials: Materials
    cpus: float = 1
    time_limit: float | None = None


@runtime_checkable
class Runner(Protocol):
    """Evaluates images somewhere, several at once.

    A runner is called as `name(task, **settings)` with a `RunnerTask` and the config's `runner_settings`. A campaign
    keeps it busy, polls it, and records what comes back; it repeats what is lost (`TrialResult.retry`), so that a
    runner itself repeats nothing. All calls come from one thread.

    Example:
        >>> class InThisProcess:
        ...     width = 1
        ...     def __init__(self, task):
        ...         self.task, self.waiting = task, []
        ...     def submit(self, key, image):
        ...         self.waiting.append((key, image))
        ...     def poll(self, timeout=None):
        ...         done, self.waiting = self.waiting, []
        ...         return [evaluate_one(self.task, key, image) for key, image in done]
        ...     def stop(self):
        ...         self.waiting.clear()
    """

    @property
    def width(self) -> int:
        """Evaluations that run at once, at least 1, as large as the machine is now."""
        ...

    def submit(self, key: str, image: np.ndarray) -> None:
        """Takes an image uint8 `(X, Y)` to evaluate, at once or when a processor is free; `key` names its result.

        A campaign submits a few more than `width`, so that no processor waits.
        """
        ...

    def poll(self, timeout: float | None = None) -> list[TrialResult]:
        """Waits until an evaluation has ended, at most `timeout` seconds (None: for ever); returns all that have.

        Each submitted key is returned once: with values; with the `error` of an evaluator that has no answer or ran
        into the time limit; or with `retry` where the worker was lost. At once and empty if nothing is submitted.

        Raises:
            EvaluationError: The evaluator cannot be loaded where it should run.
        """
        ...

    def stop(self) -> None:
        """Ends what still runs and forgets what waits; more may be submitted afterwards."""
        ...


def open_runner(name: str, task: RunnerTask, settings: Mapping[str, Any] | None = None) -> Runner:
    """Makes the runner that a string names.

    Args:
        name: `ray`, `local` or `module:name`: a class or a function that takes the task and the settings.
        task: What it shall evaluate.
        settings: Further keywords; of `local` `workers`, of `ray` none.

    Raises:
        InputError: There is no such runner, it does not take the settings, or the machine is too small for one
            evaluation.
    """
    what, settings = f"runner = {name!r}", dict(settings or {})
    if name in _BUILT_IN:
        module, attribute = _BUILT_IN[name]
        made = getattr(import_module(module), attribute)  # Ray is imported only where it is used
    elif ":" in name:
        made = load_named(name, what, EXPECTED)
    else:
        raise InputError(f"{what} is unknown; expected {EXPECTED}.")
    try:
        runner = made(task, **settings)
    except TypeError as error:
        raise InputError(f"{what} cannot be made with its settings ({error}).") from None
    if not isinstance(runner, Runner):
        raise InputError(f"{what} is a {type(runner).__name__}; expected methods submit, poll and stop, and a width.")
    return runner
