"""Stages of an experiment that are computed once: arrays in a file, from which a run that was stopped continues."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from microdesign.core.files import replacing


def cached_arrays(file: Path, compute: Callable[[], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays by name in an `.npz` file, which is computed and written atomically where it is missing.

    The file's name must identify everything that the arrays depend on, such as a model's digest.
    """
    if not file.is_file():
        arrays = compute()
        with replacing(file) as temporary, temporary.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
    with np.load(file, allow_pickle=False) as record:
        return dict(record)
