"""From what a user writes, names of phases and values with units, to the plain numbers of `Materials`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel

from microdesign.core.errors import InputError
from microdesign.core.units import convert, read_quantity, split_quantity
from microdesign.physics.phase_library import DENSITY_UNIT, E_UNIT, K_UNIT, find_phase

_FIELDS = {"E": ("E", "nu", "stiffness"), "k": ("k", "conductivity"), "density": ("density",)}
"""By the name of their unit, the fields of a phase that go together."""
_LIBRARY_UNITS = {"E": E_UNIT, "k": K_UNIT, "density": DENSITY_UNIT}

Located = Callable[[int, str, str, Any], Exception]
"""Makes the error of a phase: its number, the field, what is wrong, and the value."""


def resolve_phases(values: Mapping[str, Any], located: Located) -> dict[str, Any]:
    """Returns the values of `Materials` with names replaced by the library's values and quantities by numbers.

    Numbers are in the unit that `units` states, else in that of the first value that has one, which is then stated
    there. Of the library a phase takes what all phases without a name have too: beside `{E: 3, nu: 0.3}` aluminium has
    no conductivity, and `pore` is a void in whatever the others have.

    Args:
        values: `phases`, and perhaps `units` and others, which stay.
        located: Makes the error of a phase.
    """
    given, units = values.get("phases"), values.get("units")
    if not isinstance(given, Sequence) or isinstance(given, str) or not isinstance(units, Mapping | None):
        return dict(values)  # not valid, and for the model to say so
    written = [{"name": each} if isinstance(each, str) else each for each in given]
    if not any(_needs_resolving(each) for each in written):
        return dict(values)
    phases = [dict(each) for each in map(_plain, written) if isinstance(each, Mapping)]
    if len(phases) < len(written):
        return dict(values)
    known = [_found(number, phase, located) for number, phase in enumerate(phases)]
    own = [phase for phase, of in zip(phases, known, strict=True) if of is None]
    shared = {key for key, fields in _FIELDS.items() if all(set(fields) & set(phase) for phase in own)}
    # Some of the library have no density, and then no phase takes one: all have it or none has.
    if any(
        of is not None and not of["density"] and "density" not in phase for phase, of in zip(phases, known, strict=True)
    ):
        shared.discard("density")
    taken = [{} if of is None else _taken(of, phase, shared) for of, phase in zip(known, phases, strict=True)]
    stated = dict(units or {})
    for key in _FIELDS:
        unit = _in_one_unit(key, phases, taken, stated.get(key), located)
        stated |= {} if unit is None else {key: unit}
    resolved = [library | phase for library, phase in zip(taken, phases, strict=True)]
    return {**values, "phases": resolved} | ({"units": stated} if stated else {})


def _needs_resolving(phase: Any) -> bool:
    return isinstance(phase, Mapping) and ("name" in phase or any(isinstance(value, str) for value in phase.values()))


def _plain(phase: Any) -> Any:
    return phase.model_dump(mode="json", exclude_none=True) if isinstance(phase, BaseModel) else phase


def _found(number: int, phase: dict[str, Any], located: Located) -> dict[str, dict[str, Any]] | None:
    """The library's values by the name of their unit, None of a phase without a name; takes the name away."""
    if "name" not in phase:
        return None
    name = phase.pop("name")
    try:
        _, found = find_phase(str(name))
    except InputError as error:
        raise located(number, "name", str(error).rstrip("."), name) from None
    density = {} if found.density is None else {"density": found.density}
    return {"E": found.elastic_values, "k": {"k": found.k}, "density": density}


def _taken(found: Mapping[str, dict[str, Any]], phase: Mapping[str, Any], shared: set[str]) -> dict[str, Any]:
    """What a phase takes of the library: what the others have too and it does not state itself."""
    taken: dict[str, Any] = {}
    for key, values in found.items():
        stated = set(_FIELDS[key]) & set(phase)
        # `E` or `nu` beside the name leaves the other as it is; a tensor beside it takes the place of both.
        if not stated - set(values) and (key in shared or stated):
            taken |= {field: value for field, value in values.items() if field not in stated}
    return taken


def _in_one_unit(
    key: str, phases: list[dict[str, Any]], taken: list[dict[str, Any]], stated: str | None, located: Located
) -> str | None:
    """Converts the values of one kind to one unit, in place; returns the unit, None where no value has one."""
    fields = [field for field in _FIELDS[key] if field != "nu"]
    unit = stated or _first_unit(key, fields, phases, taken, located)
    if unit is None:
        return None
    for number, (phase, library) in enumerate(zip(phases, taken, strict=True)):
        for field in fields:
            try:
                if np.any(library.get(field, 0)):
                    library[field] = (np.array(library[field]) * _library_factor(key, unit)).tolist()
                if phase.get(field) is not None:
                    phase[field] = _number(phase[field], key, unit, stated is not None)
            except InputError as error:
                raise located(number, field, str(error).rstrip("."), phase.get(field)) from None
    return unit


def _first_unit(
    key: str,
    fields: Sequence[str],
    phases: Sequence[Mapping[str, Any]],
    taken: Sequence[Mapping[str, Any]],
    located: Located,
) -> str | None:
    """The unit of the first value that has one: a quantity's own, or the library's."""
    for number, (phase, library) in enumerate(zip(phases, taken, strict=True)):
        for field in fields:
            value = phase.get(field)
            parts = split_quantity(value) if isinstance(value, str) else None
            if parts is not None and parts[1]:
                try:
                    read_quantity(f"1 {parts[1]}", _LIBRARY_UNITS[key])  # it measures what it should
                except InputError as error:
                    raise located(number, field, str(error).rstrip("."), value) from None
                return parts[1]
            if np.any(library.get(field, 0)):
                return _LIBRARY_UNITS[key]
    return None


def _number(value: Any, key: str, unit: str, stated: bool) -> Any:
    """A value in the unit; without one of its own it is in that which the materials state.

    Raises:
        InputError: The value cannot be converted, or it has no unit where another phase's has one and none is stated.
    """
    number, has_unit = read_quantity(value, unit) if isinstance(value, str) else (value, False)
    if not has_unit and not stated and np.any(number):
        raise InputError(
            f"it has no unit, but another phase's value has one; add it, or state units: {{{key}: {unit}}}"
        )
    return number


def _library_factor(key: str, unit: str) -> float:
    try:
        return convert(1.0, _LIBRARY_UNITS[key], unit)
    except InputError:
        raise InputError(
            f"units.{key} = '{unit}' is no unit that the library's {_LIBRARY_UNITS[key]} can be converted to"
        ) from None
