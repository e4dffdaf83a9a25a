"""Options and arguments that several commands share, and the parsing of values such as `Ex=3.6`."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer
import yaml

from microdesign.core.errors import InputError
from microdesign.core.strict_yaml import parse_yaml

Number = TypeVar("Number", int, float)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting, such as loop.epochs=5.")
]
ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file of settings.")]
MaterialsFile = Annotated[Path, typer.Option("--materials", help="YAML file of the phases, or names: aluminium,pore.")]
Images = Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Files of phase labels.")]
Experiment = Annotated[
    Literal["fidelity", "reconstruction", "forward", "inverse", "latent"] | None,
    typer.Option("--what", help="The experiment, for evaluate; the config's own `what` when left out."),
]


def names(text: str) -> list[str]:
    """Splits `A,B,...`."""
    return [name.strip() for name in text.split(",") if name.strip()]


def numbers(option: str, text: str, kind: Callable[[str], Number], such_as: str) -> tuple[Number, ...]:
    """Reads `1,2,...`.

    Raises:
        InputError: A part is no number.
    """
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{option} {text}: expected numbers with commas between them, such as {such_as}.") from None


def targets(pairs: Sequence[str]) -> dict[str, float]:
    """Reads `NAME=VALUE` pairs.

    Raises:
        InputError: A pair has no `=`, or its value is no number.
    """
    values = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        try:
            values[name.strip()] = float(text)
        except ValueError:
            raise InputError(f"--target {pair}: expected NAME=VALUE with a number, such as Ex=3.6.") from None
    return values


def goals(pairs: Sequence[str]) -> dict[str, Any]:
    """Reads `NAME=GOAL` pairs, where a goal may be relative to an image: `Ex=2.4`, `Ex=1.15x`, `kx=match`.

    Raises:
        InputError: A pair has no `=`, no goal, or one that is no YAML.
    """
    values = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        try:
            values[name.strip()] = parse_yaml(text)
        except (yaml.YAMLError, ValueError):
            values[name.strip()] = None
        if not name.strip() or values[name.strip()] is None:
            raise InputError(f"--target {pair}: expected NAME=VALUE, such as Ex=3.6, Ex=1.15x or kx=match.")
    return values


def as_overrides(values: Mapping[str, Any]) -> list[str]:
    """Returns the values of options as overrides of a config, `name=value` each."""
    return [f"{name}={json.dumps(value, default=str)}" for name, value in values.items()]
