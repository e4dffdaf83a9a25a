"""Tables as text."""

from collections.abc import Iterable, Sequence


def cell(value: object) -> str:
    """Returns a value as a table shows it: floats with four digits, nothing for None.

    Example:
        >>> cell(0.123456), cell(12), cell(None)
        ('0.1235', '12', '')
    """
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


def markdown_table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    r"""Returns a Markdown table; a bar in a cell is escaped.

    Example:
        >>> print(markdown_table(["draws", "error"], [["p(z|c)", 0.04]]), end="")
        | draws | error |
        | --- | --- |
        | p(z\|c) | 0.04 |
    """
    lines = [[cell(value).replace("|", r"\|") for value in line] for line in (titles, *rows)]
    lines.insert(1, ["---"] * len(titles))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
