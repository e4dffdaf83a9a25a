"""From the string that names an evaluator in a config to the evaluator."""

from collections.abc import Mapping
from typing import Any

from microdesign.core.config import validate_config
from microdesign.core.errors import InputError
from microdesign.core.references import load_named
from microdesign.physics.evaluators.command import CommandEvaluator
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.protocol import Evaluator

FAST_TIER: Mapping[str, Any] = {"tolerance": 3e-3, "precision": "float32"}
"""Settings of `fft` that training uses: 0.07 % off in the median, a few milliseconds an image of 64 x 64."""

_EXPECTED = "fft, module:name or command: PROGRAM ARGS"


def load_evaluator(name: str = "fft", settings: Mapping[str, Any] | None = None) -> Evaluator:
    """Returns the evaluator that a string names, made with the settings.

    - `fft`: the built-in solver; settings of `FFTEvaluator` may follow: `fft: tolerance=1e-5 discretization=rotated`.
    - `module:name`: a class or a function that returns an evaluator and takes the settings as keywords, or an
      evaluator itself, which takes none.
    - `command: PROGRAM ARGS`: an external program (`command.CommandEvaluator`).

    Raises:
        InputError: The name cannot be found, does not take the settings, or is no evaluator.
    """
    settings = dict(settings or {})
    kind, separator, rest = (part.strip() for part in name.partition(":"))
    if kind == "fft":
        return validate_config(FFTEvaluator, _options(rest, name) | settings, source=f"evaluator {name!r}")
    if kind == "command" and separator:
        return validate_config(CommandEvaluator, {"command": rest} | settings, source=f"evaluator {name!r}")
    if not separator:
        raise InputError(f"evaluator = {name!r} is unknown; expected {_EXPECTED}.")
    found = load_named(f"{kind}:{rest}", f"evaluator = {name!r}", _EXPECTED)
    if isinstance(found, type) or not isinstance(found, Evaluator):
        if not callable(found):
            raise InputError(f"evaluator = {name!r} is a {type(found).__name__}; expected an evaluator.")
        try:
            found = found(**settings)
        except (TypeError, ValueError) as error:
            raise InputError(f"evaluator = {name!r} does not take its settings ({error}).") from None
    elif settings:
        raise InputError(f"evaluator = {name!r} is already made; it takes no settings, but {sorted(settings)} came.")
    if not isinstance(found, Evaluator):
        raise InputError(f"evaluator = {name!r} is no evaluator; expected a method evaluate and a fingerprint.")
    return found


def fast_tier(name: str, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns the settings of an evaluator that make it as cheap as physics feedback in training needs it.

    Those of the built-in solver get `FAST_TIER`; every other evaluator keeps its own.
    """
    is_fft = name.partition(":")[0].strip() == "fft"
    return dict(settings or {}) | (dict(FAST_TIER) if is_fft else {})


def _options(text: str, name: str) -> dict[str, Any]:
    """Reads `key=value key=value`."""
    options: dict[str, Any] = {}
    for word in text.replace(",", " ").split():
        key, separator, value = word.partition("=")
        if not separator:
            raise InputError(f"evaluator = {name!r}: {word!r} has no '='; expected such as fft: tolerance=1e-5.")
        options[key] = value
    return options
