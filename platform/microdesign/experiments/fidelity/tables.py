"""The table of the experiment `fidelity`."""

from collections.abc import Sequence

from microdesign.experiments.base.result import Table
from microdesign.experiments.fidelity.measurement import PER_CENT, Measurement

TITLES = ("section", "measurement", "unit", "median", "90 %", "value", "held-out data")


def fidelity_table(measurements: Sequence[Measurement]) -> Table:
    """A row for each measurement, its numbers in its unit."""
    rows = []
    for each in measurements:
        scale = 100 if each.unit == PER_CENT else 1
        cells = [None if value is None else scale * value for value in each.numbers.values()]
        rows.append([each.section, each.name, each.unit, *cells])
    return Table.of(TITLES, rows)
