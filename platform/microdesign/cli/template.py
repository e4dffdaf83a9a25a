"""A config class as a YAML file to fill in: every key with its default, and above it what it means."""

import textwrap
import types
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

_WIDTH = 100
_ENDLESS = 2**53
"""A bound that says only what fits into 64 bits is not shown."""
_NAMES = {str: "text", int: "integer", float: "number", bool: "true or false", type(None): "null"}
_BOUNDS = {Ge: ("ge", ">="), Gt: ("gt", ">"), Le: ("le", "<="), Lt: ("lt", "<"), MinLen: ("min_length", "items >=")}


def template(model: type[BaseModel]) -> str:
    """Returns a YAML file of all settings of a model.

    Keys without a default come first, are marked `required` and have no value. Sections that are absent by default, and
    the items of lists and mappings of sections, stand below their key as comments.

    Example:
        >>> from pydantic import Field
        >>> class Stage(BaseModel):
        ...     epochs: int = Field(20, ge=1, description="passes over the data")
        >>> print(template(Stage))
        # passes over the data (integer >= 1)
        epochs: 20
    """
    return "\n".join(_section(model, {}))


def _section(model: type[BaseModel], values: Mapping[str, Any]) -> Iterator[str]:
    """Lines of the fields; `values` are those that the section has where it is a default of a larger one."""
    for name, field in sorted(model.model_fields.items(), key=lambda item: not item[1].is_required()):
        inner = _models_in(field.annotation)
        yield from _comment(field, _meaning(model, name, inner))
        if name in values:
            default = values[name]
        elif field.is_required():
            yield f"{name}:  # required"
            if inner:
                direct = inner[0] in (field.annotation, *_alternatives(field.annotation))
                yield from (f"  {line}" if direct else f"#   {line}" for line in _example(field.annotation, inner[0]))
            continue
        else:
            default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            yield f"{name}:"
            yield from (f"  {line}" for line in _section(type(default), dict(default)))
            continue
        yield f"{name}: {_yaml(default)}"
        if inner:
            yield from (f"#   {line}" for line in _example(field.annotation, inner[0]))


def _example(annotation: Any, model: type[BaseModel]) -> Iterator[str]:
    """Lines of a section where it stands: as it is, as the item of a list, or under a name."""
    lines = list(_section(model, {}))
    origins = {get_origin(part) for part in (annotation, *_alternatives(annotation))}
    if origins & {tuple, list}:
        first = next(number for number, line in enumerate(lines) if not line.startswith("#"))
        yield from (f"{'- ' if number == first else '  '}{line}" for number, line in enumerate(lines))
    elif any(isinstance(origin, type) and issubclass(origin, Mapping) for origin in origins):
        yield from ("NAME:", *(f"  {line}" for line in lines))
    else:
        yield from lines


def _meaning(model: type[BaseModel], name: str, inner: list[type[BaseModel]]) -> str:
    """The description of a field, perhaps of the class that it was first in, or of the section that it is."""
    for base in model.__mro__:
        field = getattr(base, "__pydantic_fields__", {}).get(name)
        if field is not None and field.description:
            return str(field.description)
    return (inner[0].__doc__ or "").split("\n\n")[0].rstrip(".") if inner else ""


def _comment(field: FieldInfo, meaning: str) -> Iterator[str]:
    form = "" if _is_model(field.annotation) else _form(field.annotation)
    bounds = [(_BOUNDS[type(m)][1], getattr(m, _BOUNDS[type(m)][0])) for m in field.metadata if type(m) in _BOUNDS]
    limits = [f"{sign} {bound}" for sign, bound in bounds if abs(bound) < _ENDLESS]
    kind = " ".join(filter(None, [form, " and ".join(limits)]))
    text = " ".join(filter(None, [" ".join(meaning.split()), f"({kind})" if kind else ""]))
    yield from textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False)


def _form(annotation: Any) -> str:
    """The type of a value in words."""
    if _is_model(annotation):
        return "section"
    origin = get_origin(annotation)
    if origin is Literal:
        return f"one of {', '.join(map(str, get_args(annotation)))}"
    if alternatives := _alternatives(annotation):
        return " or ".join(filter(None, dict.fromkeys(_form(part) for part in alternatives)))
    if origin in (tuple, list):
        inside = " and ".join(dict.fromkeys(filter(None, (_form(p) for p in get_args(annotation) if p is not ...))))
        return f"list of {inside}" if inside else "list"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "mapping"
    if hasattr(annotation, "__metadata__"):  # Annotated: its type is what counts
        return _form(get_args(annotation)[0])
    return _NAMES.get(annotation, "")


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else ()


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if _is_model(annotation):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _yaml(value: Any) -> str:
    plain = to_jsonable_python(value)
    return yaml.safe_dump(plain, default_flow_style=True, width=10_000, sort_keys=False).removesuffix("...\n").strip()
