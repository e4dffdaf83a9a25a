import numpy as np
import torch

from microdesign.experiments.reconstruction.config import CirclesConfig
from microdesign.experiments.reconstruction.from_statistics import aligned, descend, discs, recovered
from microdesign.model.losses.two_point import excess_cess

CONFIG = CirclesConfig(size=24, images=1, steps=250, starts=2, clamp=0.1)


def blobs() -> np.ndarray:
    x, y = np.indices((24, 24))
    image = np.zeros((24, 24), np.uint8)
    for centre, radius in (((6, 6), 4), ((14, 17), 3)):
        image[(x - centre[0]) ** 2 + (y - centre[1]) ** 2 <= radius**2] = 1
    return image


def test_a_shifted_and_inverted_copy_is_aligned_with_its_original() -> None:
    image = torch.from_numpy(blobs())
    assert torch.equal(aligned(image.roll((5, -7), (0, 1)), image), image)
    assert torch.equal(aligned(image.flip((0, 1)).roll((2, 9), (0, 1)), image), image)


def test_the_error_is_relative_to_the_area_of_the_discs() -> None:
    image = blobs()
    half = image.copy()
    half[:10] = 0
    more = image.copy()
    more[:4] = 1
    soft = torch.from_numpy(np.stack([np.roll(image, 3, 0), half, more])).float()[:, None]
    copies, missed = recovered(soft, np.stack([image, image, image]))
    np.testing.assert_array_equal(copies[0], image)
    np.testing.assert_allclose(missed, [0, 1 - half.sum() / image.sum(), more.sum() / image.sum() - 1])


def test_with_the_clamp_the_image_is_found_and_without_it_pixels_stay_grey() -> None:
    target = torch.from_numpy(blobs()).float()[None, None]
    clamped, free = descend(target, "cess+clamp", CONFIG), descend(target, "cess", CONFIG)
    assert recovered(clamped, blobs()[None])[1][0] < 0.2
    grey = [float(((x > 0.1) & (x < 0.9)).float().mean()) for x in (clamped, free)]
    assert grey[0] < 0.01 < grey[1]
    noise = torch.full_like(target, float(target.mean()))
    assert float(excess_cess(target, free)) < 0.1 * float(excess_cess(target, noise))


def test_the_discs_are_seeded() -> None:
    np.testing.assert_array_equal(discs(CONFIG), discs(CONFIG))
    assert (discs(CONFIG) != discs(CONFIG.model_copy(update={"seed": 1}))).any()
