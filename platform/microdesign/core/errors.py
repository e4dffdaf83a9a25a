"""The errors that microdesign raises on purpose: one small tree, each message a clear sentence.

A message names the thing, the value and what was expected. The command line turns `InputError` into exit code 2 and
HTTP into a 4xx answer; everything else is exit code 1 or a 5xx.
"""

from collections.abc import Sequence

_LONGEST = 1000
"""Characters of a message; a value in a file may be as long as the file."""


class MicrodesignError(Exception):
    """Root of every error that microdesign raises on purpose."""


class InputError(MicrodesignError, ValueError):
    """What the user gave is wrong: a file, a shape, a value, a key, an unreachable target, an address.

    Its message is one line whatever a file or a library puts into it, and of a very long one the middle is left out.

    Example:
        >>> print(InputError("a.yaml: is no YAML\\n  in line 3."))
        a.yaml: is no YAML in line 3.
    """

    def __init__(self, message: object) -> None:
        text = str(message)
        if "\n" in text or "\r" in text:
            text = " ".join(text.split())
        if len(text) > _LONGEST:
            text = f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"
        super().__init__(text)


class NotConvergedError(MicrodesignError, RuntimeError):
    """An iteration stopped short of its tolerance.

    Attributes:
        best: The best value reached, of the type that the call would have returned.
        failed: Positions of what did not converge, where the rest of `best` holds; None when that is not known.
    """

    def __init__(self, message: str, best: object = None, failed: Sequence[int] | None = None) -> None:
        super().__init__(message)
        self.best = best
        self.failed = failed


class EvaluationError(MicrodesignError, RuntimeError):
    """An evaluator could not answer for an image that is itself valid."""


class StorageError(MicrodesignError, RuntimeError):
    """Something could not be written or what was written before does not fit together."""
