"""What a config names of a pluggable kind: a built-in one by its name, or a user's own as `module:name`."""

from collections.abc import Collection, Mapping
from typing import TypeVar

from microdesign.core.errors import InputError
from microdesign.core.references import load_named

BuiltInT = TypeVar("BuiltInT")


def check_name(kind: str, name: str, known: Collection[str], renamed: Mapping[str, str] | None = None) -> str:
    """Returns `name`, if it is a known one or of the form `module:name`; nothing is imported.

    Args:
        kind: What is named, for the error: `prior`, `decoder`, `loss`.
        name: The name that a config gives.
        known: Names of the built-in ones.
        renamed: Names of earlier versions, and the name that each has now.

    Raises:
        InputError: The name is unknown; the sentence has the known ones.

    Example:
        >>> check_name("prior", "mixture", ("standard", "mixture"))
        'mixture'
    """
    if renamed and name in renamed:
        raise InputError(f"the {kind} '{name}' is now called '{renamed[name]}'.")
    if name not in known and ":" not in name:
        raise InputError(f"unknown {kind} '{name}'; expected one of {', '.join(known)} or module:name.")
    return name


def find(kind: str, name: str, built_in: Mapping[str, BuiltInT], expected: str, base: type | None = None) -> BuiltInT:
    """Returns what `name` stands for: an entry of `built_in`, or what `module:name` imports.

    Args:
        kind: What is named, for the error.
        name: The name that a config gives.
        built_in: The built-in ones by name.
        expected: What it has to be, for the error: `a function of logits and target`.
        base: The class that it has to be a subclass of; None for a function.

    Raises:
        InputError: The name is unknown, cannot be imported, or names something else than what is expected.
    """
    if check_name(kind, name, built_in) in built_in:
        return built_in[name]
    found = load_named(name, f"The {kind} '{name}'", f"module:name of {expected}")
    fits = callable(found) if base is None else isinstance(found, type) and issubclass(found, base)
    if not fits:
        what = f"the class {found.__name__}" if isinstance(found, type) else f"a {type(found).__name__}"
        raise InputError(f"The {kind} '{name}' is {what}; expected {expected}.")
    own: BuiltInT = found
    return own
