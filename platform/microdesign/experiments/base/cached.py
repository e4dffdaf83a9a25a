"""Stages of an experiment that are made once: arrays in a file, which a run that goes on takes as they are."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from microdesign.core.files import replacing


def kept_arrays(file: Path, make: Callable[[], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays by name in an `.npz` file, which is made where it is missing; whole or absent.

    The file's name has to say what the arrays depend on, such as a model's digest.
    """
    if not file.is_file():
        arrays = make()
        with replacing(file) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **arrays)
    with np.load(file, allow_pickle=False) as record:
        return dict(record)
