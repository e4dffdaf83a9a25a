"""One configuration mechanism: pydantic models filled by YAML files and by `--set a.b=value` overrides."""

import copy
import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from microdesign.core.budget import read_whole
from microdesign.core.errors import InputError
from microdesign.core.strict_yaml import DuplicateKeyError, parse_yaml

_YAML_COPIES = 64
"""How many times its size a YAML text takes while it is read."""


class Config(BaseModel):
    """Base of every configuration: keyword-only, frozen, unknown keys are errors.

    Attributes:
        renamed: Keys of earlier versions and the key that each is now, for the error that an old file gets.
    """

    renamed: ClassVar[Mapping[str, str]] = {}

    model_config = ConfigDict(extra="forbid", frozen=True)


ConfigT = TypeVar("ConfigT", bound=BaseModel)


def load_config(model: type[ConfigT], path: str | Path | None = None, overrides: Sequence[str] = ()) -> ConfigT:
    """Builds a config from a YAML file and overrides.

    Args:
        model: The pydantic model to fill.
        path: A YAML file that holds one mapping; None takes the model's defaults.
        overrides: `a.b=value` strings, each value read as YAML, applied in order.

    Raises:
        InputError: The file is missing or no YAML mapping, an override has no `=`, or a field is unknown or invalid.
    """
    values = {} if path is None else read_yaml_mapping(path)
    for override in overrides:
        _apply(values, override)
    return validate_config(model, values, source=str(path) if path is not None else "the settings")


def validate_config(model: type[ConfigT], values: Any, source: str) -> ConfigT:
    """Validates plain values as `model`; the first problem becomes one sentence.

    Raises:
        InputError: A field is unknown, missing or invalid.
    """
    try:
        return model.model_validate(values)
    except UnicodeError:  # half of a pair of UTF-16, which JSON and YAML can write and pydantic cannot take
        raise InputError(f"{source}: holds characters that are no Unicode text.") from None
    except ValidationError as error:
        # A misspelt key is also a missing one; the unknown key says more.
        try:
            problem = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        except UnicodeError:
            raise InputError(f"{source}: holds characters that are no Unicode text.") from None
        field = ".".join(str(part) for part in problem["loc"]) or "the whole"
        if problem["type"] == "extra_forbidden":
            raise InputError(f"{source}: {_unknown_key(model, problem['loc'])}") from None
        if problem["type"] == "missing":
            raise InputError(f"{source}: '{field}' is missing.") from None
        given = "" if isinstance(problem["input"], dict | list) else f" = {problem['input']!r}"
        message = problem["msg"].removeprefix("Value error, ").removesuffix(".")
        raise InputError(f"{source}: '{field}'{given} is not valid: {message}.") from None


def read_yaml_mapping(path: str | Path) -> dict[str, Any]:
    """Reads a YAML file that holds one mapping.

    Raises:
        InputError: The file is missing, unreadable, no YAML, not a mapping, or has a key twice in one mapping.
    """
    try:
        values = parse_yaml(read_whole(path, "a YAML file", copies=_YAML_COPIES).decode())
    except DuplicateKeyError as error:
        raise InputError(f"{path}: {error}") from None
    except InputError:
        raise
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no UTF-8, or an impossible date
        raise InputError(f"{path}: is not valid YAML ({' '.join(str(error).split())}).") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(f"{path}: holds a {type(values).__name__}; expected a mapping of settings.")
    return values


def dump_yaml(config: BaseModel) -> str:
    """Returns the resolved config as YAML, readable by `load_config`."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def changed(config: ConfigT, settings: Mapping[str, Any], source: str) -> ConfigT:
    """Returns the config with settings put in by their dotted names, such as `loop.objective.loss`.

    A number in a name is a position in a list, `stages.0.epochs`; a section that is null is made.

    Raises:
        InputError: A name is no setting, or a value is not valid for it.
    """
    values = config.model_dump(mode="json")
    for name, value in settings.items():
        _put(values, name, value, f"{source}: {name}")
    return validate_config(type(config), values, source)


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns plain values with nested changes put in, section by section.

    Raises:
        InputError: A change is a section where the values have none.

    Example:
        >>> merged({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}})
        {'a': {'b': 1, 'c': 3}}
    """
    result = copy.deepcopy(dict(values))
    for name, value in flatten(changes).items():
        _put(result, name, value, name)
    return result


def flatten(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns nested settings by their dotted names, as `changed` takes them.

    Example:
        >>> flatten({"loop": {"epochs": 3, "stages": [1, 2]}, "name": "a"})
        {'loop.epochs': 3, 'loop.stages': [1, 2], 'name': 'a'}
    """
    flat: dict[str, Any] = {}
    for name, value in values.items():
        inside = flatten(value) if isinstance(value, Mapping) else None
        flat |= {name: value} if inside is None else {f"{name}.{key}": each for key, each in inside.items()}
    return flat


def _unknown_key(model: type[BaseModel], path: Sequence[str | int]) -> str:
    """Why the last part of `path` is no key of its section, with the key that was probably meant."""
    field, key = ".".join(str(part) for part in path), str(path[-1])
    sections = list(_sections(model, path[:-1]))
    for section in sections:
        renamed: Mapping[str, str] = getattr(section, "renamed", {})
        if key in renamed:
            return f"'{field}' is now called '{renamed[key]}'."
    known = sorted({name for section in sections for name in section.model_fields})
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.7)
    if close:
        return f"unknown key '{field}'; did you mean '{close[0]}'?"
    expected = f"one of: {', '.join(known)}" if len(known) <= 12 else f"one of the {len(known)} keys of its section"
    return f"unknown key '{field}'; expected {expected}."


def _sections(model: type[BaseModel], path: Sequence[str | int]) -> Iterator[type[BaseModel]]:
    """The models that may stand at a place in a config, through optional, union and mapping types."""
    if not path:
        yield model
        return
    field = model.model_fields.get(str(path[0]))
    for inner in _models_in(field.annotation) if field is not None else ():
        rest = path[1:]
        # Pydantic's path also names the item of a list or a mapping, or the member of a union: these are no sections.
        while rest and str(rest[0]) not in inner.model_fields:
            rest = rest[1:]
        yield from _sections(inner, rest)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _apply(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise InputError(f"--set {override}: has no '='; expected key.subkey=value.")
    try:
        value = parse_yaml(text)
    except DuplicateKeyError as error:
        raise InputError(f"--set {override}: {error}") from None
    except (yaml.YAMLError, ValueError):
        raise InputError(f"--set {override}: the value is not valid YAML.") from None
    _put(values, key, value, f"--set {override}")


def _put(values: dict[str, Any], name: str, value: Any, what: str) -> None:
    """Puts a value in by its dotted name; the one place where such a name is followed."""
    *parents, last = name.split(".")
    section: Any = values
    for number, part in enumerate(parents):
        place = _place(section, part, ".".join(parents[:number]), what)
        if isinstance(section, dict) and section.get(part) is None:
            section[part] = {}
        section = section[place]
    section[_place(section, last, ".".join(parents), what)] = value


def _place(section: Any, part: str, path: str, what: str) -> str | int:
    """The key or the position in a section that a part of a name means."""
    if isinstance(section, dict):
        return part
    if not isinstance(section, list):
        raise InputError(f"{what}: '{path}' is a value, not a section.")
    if not part.isdecimal() or int(part) >= len(section):
        raise InputError(f"{what}: '{path}' is a list of {len(section)}; expected a position in it, not '{part}'.")
    return int(part)
