"""What a command prints on standard output: one JSON document, a table, or `key: value` lines."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

_UNLIMITED = 100_000
"""Columns: more than any table needs."""


def print_json(document: Any) -> None:
    """Prints one JSON document."""
    print(json.dumps(document, indent=2))


def print_result(document: Mapping[str, Any], as_json: bool) -> None:
    """Prints what a command has made, as JSON or as one `key: value` line for each entry."""
    if as_json:
        print_json(document)
    else:
        for key, value in document.items():
            shape = isinstance(value, list) and value and all(isinstance(each, int) for each in value)
            for line in value if isinstance(value, list) and not shape else [value]:
                print(f"{key}: {_listed(line)}")


def _listed(value: Any) -> Any:
    """A mapping as `name value, name value`, a shape as `64 x 64`, a truth as yes or no; anything else as it is."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    if isinstance(value, list):
        return " x ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table; digits and paths are never cut.

    A table that is wider than the terminal becomes one block of `title value` lines for each row; pipes and files
    have no width.
    """
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table

    table = Table()
    for title in titles:
        table.add_column(title, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False, markup=False)
    width = Measurement.get(console, console.options.update(width=_UNLIMITED), table).maximum
    if console.is_terminal and width > console.width:
        _print_blocks(titles, rows)
        return
    console.width = max(console.width, width)
    console.print(table)


def _print_blocks(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    longest = max(map(len, titles))
    for row in rows:
        for title, value in zip(titles, row, strict=False):
            if value:
                print(f"{title:<{longest}}  {value}")
        print()
