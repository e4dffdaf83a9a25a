"""What went wrong in a worker, told in the driver."""

from microdesign.errors import InputError, MicrodesignError


def driver_error(error: BaseException, what: str) -> MicrodesignError:
    """The error to raise in the driver for one that Ray Train or Ray Tune reports: bad input stays bad input."""
    cause = _root_cause(error)
    lines = str(cause).strip().splitlines()
    reason = lines[-1] if lines else type(cause).__name__
    return InputError(reason) if isinstance(cause, InputError) else MicrodesignError(f"{what} failed: {reason}")


def _root_cause(error: BaseException) -> BaseException:
    while True:
        failures = getattr(error, "worker_failures", None)
        cause = next(iter(failures.values())) if failures else getattr(error, "cause", None) or error.__cause__
        if not isinstance(cause, BaseException):
            return error
        error = cause
