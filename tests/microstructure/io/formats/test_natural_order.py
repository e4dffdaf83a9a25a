from pathlib import Path

import numpy as np
from PIL import Image

from microdesign.microstructure.io.formats.natural_order import natural
from microdesign.microstructure.io.readers import read


def test_numbers_count_as_numbers() -> None:
    names = ["a2", "a10", "b", "10", "9", "²", "x²3", "x²10", "٣", "½", "①"]
    found = sorted(map(Path, names), key=natural)
    order = [path.name for path in found]
    for before, after in [("a2", "a10"), ("9", "10"), ("x²3", "x²10"), ("٣", "9"), ("a10", "b")]:
        assert order.index(before) < order.index(after), (before, after)


def test_digits_that_are_no_decimal_ones_in_the_names_of_files_and_folders(tmp_path: Path) -> None:
    for name in ("µm²", "①②", "½", "٣"):
        folder = tmp_path / name
        folder.mkdir()
        for i in (10, 9):
            Image.fromarray(np.full((3, 2), i - 9, np.uint8)).save(folder / f"{name}{i}.png")
        assert read(folder).labels[:, 0, 0].tolist() == [0, 1], name
