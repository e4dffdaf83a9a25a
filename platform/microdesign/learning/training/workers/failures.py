"""Errors in workers: which of them end the training at once, and how the driver reports them."""

from collections.abc import Mapping
from typing import Any

import ray.train

from microdesign.core.errors import InputError, MicrodesignError


class NoSecondTry(ray.train.UserCallback):
    """Ends training at an error of ours, such as bad input or a loss that is not finite: it would come again.

    Ray Train starts workers again after whatever they raise; `max_failures` is for deaths.
    """

    def after_exception(self, run_context: Any, worker_exceptions: Mapping[int, BaseException]) -> None:
        """Raises the error in Ray Train's controller, which gives up then."""
        for error in worker_exceptions.values():
            cause = _root_cause(error)
            if isinstance(cause, MicrodesignError):
                raise cause


def driver_error(error: BaseException, what: str) -> MicrodesignError:
    """The error to raise in the driver for one that Ray Train or Ray Tune reports: bad input stays bad input."""
    cause = _root_cause(error)
    lines = str(cause).strip().splitlines()
    reason = lines[-1] if lines else type(cause).__name__
    return InputError(reason) if isinstance(cause, InputError) else MicrodesignError(f"{what} failed: {reason}")


def _root_cause(error: BaseException) -> BaseException:
    while True:
        failures = getattr(error, "worker_failures", None)
        cause = next(iter(failures.values())) if failures else None
        cause = cause or getattr(error, "controller_failure", None) or getattr(error, "cause", None) or error.__cause__
        if not isinstance(cause, BaseException):
            return error
        error = cause
