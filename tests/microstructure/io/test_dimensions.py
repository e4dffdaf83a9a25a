"""An array of three similar axes is not guessed to be images or a volume."""

from pathlib import Path

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.microstructure.io.dimensions import refuse_open_dimensions
from microdesign.physics.label_images import label_stacks, read_labels


def test_three_similar_axes(tmp_path: Path) -> None:
    path = tmp_path / "tomo.npy"
    for shape, is_open in (
        ((20, 20, 20), True),
        ((16, 20, 24), True),
        ((4, 20, 20), False),
        ((64, 20, 20), False),
        ((8, 8, 8), False),
        ((2, 20, 20, 20), False),
        ((20, 20), False),
    ):
        np.save(path, np.zeros(shape, np.uint8))
        for dims in (2, 3):
            refuse_open_dimensions(path, dims)
        if not is_open:
            refuse_open_dimensions(path, None)
            continue
        for read in (lambda: refuse_open_dimensions(path, None), lambda: read_labels(path), lambda: label_stacks(path)):
            with pytest.raises(InputError, match=rf"has shape .* stack of {shape[0]} images .* --dims 2 or --dims 3"):
                read()
        assert [len(read_labels(path, dims)) for dims in (2, 3)] == [shape[0], 1]
