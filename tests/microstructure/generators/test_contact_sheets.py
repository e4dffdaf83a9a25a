from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.generators.contact_sheets import write_contact_sheets
from microdesign.microstructure.generators.registry import generate


def test_one_sheet_per_class(tmp_path: Path) -> None:
    batches = [generate("GRF", 5, (64, 64)), generate("VoronoiMedium", 40, (64, 64))]
    files = write_contact_sheets(batches, tmp_path, columns=4, rows=3)
    assert sorted(files) == ["GRF", "VoronoiMedium"]
    # Tiles of 128 pixels with margins of 4: two rows of four, and three full rows.
    assert matplotlib.image.imread(files["GRF"]).shape[:2] == (2 * 132 + 4, 4 * 132 + 4)
    assert matplotlib.image.imread(files["VoronoiMedium"]).shape[:2] == (3 * 132 + 4, 4 * 132 + 4)


def test_x_points_right_and_y_up(tmp_path: Path) -> None:
    image = np.zeros((128, 128), dtype=np.uint8)
    image[100:, :20] = 1  # large x, small y
    files = write_contact_sheets([Microstructures(labels=image[None], n_phases=2)], tmp_path)
    picture = matplotlib.image.imread(files["unnamed"])
    assert picture[-10, -10] < 0.2
    assert picture[10, 10] > 0.8
    assert picture[10, -10] > 0.8
    assert picture[-10, 10] > 0.8


def test_volumes_show_three_sections_and_their_outside(tmp_path: Path) -> None:
    volume = np.zeros((32, 32, 32), dtype=np.uint8)
    volume[16:, :, 0] = 1
    files = write_contact_sheets([Microstructures(labels=volume[None], n_phases=2)], tmp_path)
    picture = matplotlib.image.imread(files["unnamed"])
    # Three sections of 128 pixels and the outside, 111 wide, 8 pixels apart, in a margin of 16.
    assert picture.shape == (160, 16 + 3 * 136 + 111 + 16)
    picture = picture[12:-12, 12:]
    # Across z, y and x through the middle: the layer at z = 0 is no part of the first, half of the second's lowest row.
    assert picture[:, :136].min() > 0.8
    assert [picture[130, x] > 0.8 for x in (150, 190, 220, 260, 290, 390)] == [True, True, False, False, False, False]
    assert picture[:120, :408].min() > 0.8
    # Outside, the layer shows at the foot of the right face and of the right half of the front.
    foot = picture[4 + np.array([103, 119, 111]), 412 + np.array([14, 41, 83])]
    assert (foot < 0.3).tolist() == [False, True, True]


def test_refuses(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are no images"):
        write_contact_sheets([], tmp_path)
