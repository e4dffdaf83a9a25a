import numpy as np

from microdesign.microstructure.isometric import isometric

WIDE = np.sqrt(3) / 2


def test_each_face_is_where_it_belongs() -> None:
    """A box of 8 x 4 x 6 voxels, each face of one grey, 20 pixels a voxel."""
    grey = np.full((8, 4, 6), 50, np.uint8)
    grey[:, 0], grey[-1], grey[:, :, -1] = 100, 150, 200
    picture = isometric(grey, rows=240)
    assert picture.shape == (240, round(240 * WIDE))
    # A point is drawn sqrt(3)/2 (x + y) to the right of the left corner, and (y - x)/2 + z above that at x = y = z = 0.
    for (x, y, z), wanted in (((4, 2, 6), 200), ((4, 0, 2), 86), ((8, 2, 3), 108)):
        column, row = WIDE * (x + y) * 20, (4 / 2 + 6 - ((y - x) / 2 + z)) * 20
        assert picture[int(row), int(column)] == wanted, (x, y, z)
    assert picture[0, 0] == picture[-1, -1] == picture[0, -1] == picture[-1, 0] == 255
    # An isometric projection shrinks all faces alike. Voxels at an edge have the grey of the face that was set last.
    areas = [int((picture == each).sum()) / 20**2 for each in (200, 86, 108)]
    np.testing.assert_allclose(areas, [WIDE * 8 * 4, WIDE * 7 * 5, WIDE * 4 * 5], rtol=0.04)


def test_patterns_lie_on_the_faces() -> None:
    grey = np.zeros((4, 4, 4), np.uint8)
    grey[2:, :2, 3] = 200
    picture = isometric(grey, rows=80)
    # On top, x above 2 and y below 2: the diamond nearest to the viewer, and the uppermost voxels of both other faces.
    assert picture[30, 35] == 200
    assert picture[2, 35] == picture[20, 10] == picture[20, 60] == picture[75, 35] == 0
