"""A test that asks one question of many cases loops over them, and says which case it failed at."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def case(**values: object) -> Iterator[None]:
    """Adds the values of a case to what is raised inside."""
    try:
        yield
    except BaseException as error:
        error.add_note("case: " + ", ".join(f"{name} = {str(value)[:200]}" for name, value in values.items()))
        raise
