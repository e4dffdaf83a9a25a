from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from microdesign.microstructure.statistics.recent_images import RecentImages


def test_each_image_is_measured_once_until_it_is_forgotten() -> None:
    recent: RecentImages[int] = RecentImages(3)
    measured: list[int] = []

    def total(images: NDArray) -> Iterator[int]:
        measured.append(len(images))
        yield from (int(image.sum()) for image in images)

    images = np.arange(4, dtype=np.uint8)[:, None, None].repeat(2, 1).repeat(2, 2)
    assert recent.rows(images[[0, 1, 1]], "a", total) == [0, 4, 4]
    assert recent.rows(images[[1, 2]], "a", total) == [4, 8]
    assert recent.rows(images[[2, 0]], "a", total) == [8, 0]
    assert measured == [2, 1]
    # Another question, another shape, and what was not asked for longest.
    assert recent.rows(images[[2]], "b", total) == [8]
    assert recent.rows(images[[2]].reshape(1, 4, 1), "a", total) == [8]
    assert recent.rows(images[[1]], "a", total) == [4]
    assert measured == [2, 1, 1, 1, 1]
    assert recent.rows(images[:0], "a", total) == []
