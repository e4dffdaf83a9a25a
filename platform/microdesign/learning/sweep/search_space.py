"""What a sweep varies: dotted names of the loop's settings with choices or ranges, and the trials that they make."""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Discriminator, Field, Tag, model_validator

from microdesign.core.config import Config, changed
from microdesign.core.errors import InputError
from microdesign.learning.training.config.loop_config import LoopConfig

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Choice = dict[str, Any]
"""Dotted name of a setting -> its value in one trial."""


class Range(Config):
    """Numbers between two bounds, both included: one of three kinds."""

    uniform: tuple[float, float] | None = Field(None, description="any number, all alike")
    loguniform: tuple[float, float] | None = Field(None, description="any positive number, all magnitudes alike")
    integers: tuple[int, int] | None = Field(None, description="whole numbers, all alike")

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = [bounds for bounds in (self.uniform, self.loguniform, self.integers) if bounds is not None]
        if len(given) != 1:
            raise ValueError("expected one of uniform, loguniform and integers with two bounds")
        if not given[0][0] < given[0][1]:
            raise ValueError(f"the bounds {list(given[0])} are not in order; expected the lower one first")
        if self.loguniform is not None and self.loguniform[0] <= 0:
            raise ValueError(f"the bounds {list(self.loguniform)} are not positive, which loguniform needs")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """The lower and the upper bound."""
        return self.uniform or self.loguniform or self.integers or (0, 0)

    def distribution(self) -> "BaseDistribution":
        """The same for Optuna."""
        import optuna  # a config validates without it

        if self.integers is not None:
            return optuna.distributions.IntDistribution(*self.integers)
        return optuna.distributions.FloatDistribution(*self.bounds, log=self.loguniform is not None)


def _kind(value: Any) -> str:
    return "range" if isinstance(value, Range | Mapping) else "choices"


Values = Annotated[
    Annotated[Range, Tag("range")] | Annotated[tuple[Any, ...], Tag("choices")],
    Discriminator(_kind),
]
Space = Mapping[str, Values]


def check_space(
    space: Space, loop: LoopConfig, grid: bool, check: Callable[[LoopConfig], None] = lambda loop: None
) -> None:
    """Tries every choice and both ends of every range, each alone, before hours are spent; a grid, every combination.

    Args:
        space: What varies.
        loop: The loop that it varies.
        grid: Whether every combination is to run.
        check: Raises an InputError for a loop that cannot run.

    Raises:
        InputError: There is nothing to vary, no such setting, a value is not valid, or a grid has a range.
    """
    if not space:
        raise InputError("The sweep's space is empty; expected a setting of the loop with values to try.")
    for name, values in space.items():
        if isinstance(values, Range):
            if grid:
                raise InputError(f"The sweep's space gives a range for '{name}'; a grid needs a list of values.")
            values = values.bounds
        if not values:
            raise InputError(f"The sweep's space gives no value for '{name}'; expected at least one.")
        for value in values:
            check(changed(loop, {name: value}, "the sweep"))
    if grid:
        for choice in combinations(space):
            check(changed(loop, choice, "the sweep"))


def combinations(space: Space) -> Iterator[Choice]:
    """Every combination of a space of choices alone."""
    lists = [values for values in space.values() if not isinstance(values, Range)]
    for values in itertools.product(*lists):
        yield dict(zip(space, values, strict=True))


def distributions(space: Space) -> dict[str, "BaseDistribution"]:
    """The space for Optuna, which knows lists and mappings among choices as JSON alone; see `suggested`."""
    import optuna

    return {
        name: values.distribution()
        if isinstance(values, Range)
        else optuna.distributions.CategoricalDistribution([json.dumps(value) for value in values])
        for name, values in space.items()
    }


def suggested(space: Space, suggestion: Mapping[str, Any]) -> Choice:
    """The trial that Optuna means."""
    return {
        name: suggestion[name] if isinstance(values, Range) else json.loads(suggestion[name])
        for name, values in space.items()
    }


def as_suggestion(space: Space, choice: Choice) -> dict[str, Any]:
    """The inverse of `suggested`."""
    return {
        name: choice[name] if isinstance(values, Range) else json.dumps(choice[name]) for name, values in space.items()
    }
