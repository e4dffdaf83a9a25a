"""File names in the order that people expect."""

import re
from pathlib import Path


def natural(path: Path) -> list[tuple[int, str]]:
    """Returns the sort key of a name by which 2 comes before 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name) if part]
