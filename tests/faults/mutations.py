"""Changes of a file as disks, transfers and people make them; the same stream makes the same ones."""

import copy
import json
from typing import Any

import numpy as np

_NUMBERS = [bytes([value]) * width for value in (0, 1, 127, 128, 255) for width in (1, 2, 4, 8)]
_ODD: list[Any] = [
    -1, 0, 1, 2, 3, 255, 10**6, 2**31, 2**63, 2**70, 1e308, -1e308, 1e-320, float("nan"), float("inf"), True, None, "",
    "a", "1", "\0", "é\ud83d\ude00", "../a", "/etc/passwd", "a:b", [], [[]], [1], {}, {"a": 1}, "x" * 5000, [0] * 300,
]  # fmt: skip


def mutated(data: bytes, stream: np.random.Generator) -> bytes:
    """One to four changes of bytes: flips, other numbers, cuts, pieces twice, pieces left out."""
    changed = bytearray(data)
    for _ in range(int(stream.integers(1, 5))):
        size = len(changed)
        if size == 0:
            break
        # Headers are short, and most of what a reader trusts stands in them.
        place = int(stream.integers(min(size, 256) if stream.random() < 0.3 else size))
        end = min(size, place + int(stream.integers(1, 65)))
        match int(stream.integers(7)):
            case 0:
                changed[place] ^= 1 << int(stream.integers(8))
            case 1:
                number = _NUMBERS[int(stream.integers(len(_NUMBERS)))]
                changed[place : place + len(number)] = number
            case 2:
                changed[place:end] = stream.bytes(end - place)
            case 3:
                del changed[place:]
            case 4:
                del changed[place:end]
            case 5:
                changed[place:place] = changed[place:end]
            case 6:
                digits = [i for i, byte in enumerate(changed) if 48 <= byte <= 57]
                if digits:
                    changed[digits[int(stream.integers(len(digits)))]] = int(stream.integers(45, 58))
    return bytes(changed)


def mutated_values(values: Any, stream: np.random.Generator) -> Any:
    """One to three changes of JSON values: another value in a place, an entry left out, twice, or of another name."""
    changed = copy.deepcopy(values)
    for _ in range(int(stream.integers(1, 4))):
        places = list(_places(changed))
        if not places:
            break
        section, key = places[int(stream.integers(len(places)))]
        odd = copy.deepcopy(_ODD[int(stream.integers(len(_ODD)))])
        match int(stream.integers(5)):
            case 0 | 1:
                section[key] = odd
            case 2:
                del section[key]
            case 3 if isinstance(section, dict):
                section[f"{key}x" if stream.random() < 0.5 else str(odd)] = section.pop(key)
            case 4 if isinstance(section[key], list):
                section[key] = section[key][::-1] if stream.random() < 0.5 else section[key] * 3
            case _:
                section[key] = {"a": section[key]} if stream.random() < 0.5 else [section[key]]
    return changed


def mutated_json(data: bytes, stream: np.random.Generator) -> bytes:
    """A JSON text with other values, or with other bytes."""
    if stream.random() < 0.2:
        return mutated(data, stream)
    return json.dumps(mutated_values(json.loads(data), stream)).encode()


def _places(values: Any) -> list[tuple[Any, Any]]:
    """Each place in nested values, as the section and the key or position in it."""
    found: list[tuple[Any, Any]] = []
    stack = [values]
    while stack:
        section = stack.pop()
        keys = section.keys() if isinstance(section, dict) else range(len(section)) if isinstance(section, list) else ()
        found += [(section, key) for key in keys]
        stack += [section[key] for key in keys]
    return found
