"""Which images are drawn with fewer pixels first, and that each is drawn from its own."""

import numpy as np
import pytest
import torch
from torch import Tensor

from microdesign.microstructure.data.indicators import indicators
from microdesign.microstructure.generators.registry import generate
from microdesign.microstructure.statistics.morphology import mean_chord_length
from microdesign.surrogate.coarse_to_fine import Realisations, _finest_chord, coarsened, halvings


def stripes(width: int, size: int) -> np.ndarray:
    """An image `(size, size)` of stripes along x, `width` pixels wide each."""
    return np.broadcast_to(np.arange(size) // width % 2, (size, size)).astype(np.uint8)


@pytest.mark.parametrize(
    ("width", "size", "drawn", "expected"),
    [
        (16, 256, (256, 256), 1),  # of 128 pixels it is drawn at once
        (16, 128, (256, 256), 0),  # as large as what is known
        (2, 256, (256, 256), 0),  # chords of 4 pixels over both axes, too fine to be halved
        (16, 512, (512, 512), 2),
        (4, 512, (512, 512), 1),
        (16, 256, (256, 48), 0),  # 24 pixels cannot be drawn
        (16, 512, (512, 64), 1),
    ],
)
def test_coarse_images_are_halved(width: int, size: int, drawn: tuple[int, ...], expected: int) -> None:
    assert halvings(stripes(width, size)[None], drawn, 16).tolist() == [expected]


def test_the_finest_chord_is_the_mean_one_of_the_finest_phase() -> None:
    image = generate("VoidSmall", 1, (96, 96), seed=2).labels[0]
    chords = [mean_chord_length(torch.from_numpy(image == phase)) for phase in (0, 1)]
    assert _finest_chord(image) == pytest.approx(min(float(1 / (1 / each).mean()) for each in chords))
    assert _finest_chord(stripes(4, 64)) == 8  # 4 across the stripes, no end along them


def test_each_image_is_judged_for_itself_and_volumes_are_too() -> None:
    both = np.stack((stripes(16, 256), stripes(2, 256)))
    assert halvings(both, (256, 256), 16).tolist() == [1, 0]
    volume = np.broadcast_to(stripes(16, 160), (160, 160, 160))
    assert halvings(volume[None], (160, 160, 160), 16).tolist() == [1]


def test_each_row_is_drawn_from_its_own_latents_seed_and_coarse_image() -> None:
    """By a decoder whose image is the coarse one, doubled, or else as many rows of phase 1 as the seed says."""
    calls = []

    def decode(
        z: Tensor,
        shape: tuple[int, ...],
        seed: list[int],
        coarse: Tensor | None = None,
        fractions: Tensor | None = None,
    ) -> Tensor:
        assert fractions is not None
        calls.append((shape, seed, z[:, 0].tolist(), coarse is not None, fractions[:, 0].tolist()))
        if coarse is not None:
            return coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)
        image = torch.zeros(len(z), 1, *shape)
        for row, width in enumerate(seed):
            image[row, :, :width] = 1
        return image

    latents = tuple(torch.arange(4.0)[:, None] + 10 * level for level in range(3))
    held = torch.tensor([0.5, 0.25, 0.125, 0.75])[:, None]
    rows = Realisations(latents, np.array([1, 2, 3, 4]), np.array([0, 2, 1, 0]), held)
    drawn = rows.draw(decode, (16, 16))
    # Four times as many after two doublings, twice as many after one.
    assert drawn[:, 0, :, 0].sum(1).tolist() == [1, 8, 6, 4]
    assert calls == [
        ((4, 4), [2], [21.0], False, [0.25]),
        ((8, 8), [2], [11.0], True, [0.25]),
        ((8, 8), [3], [12.0], False, [0.125]),
        ((16, 16), [2, 3], [1.0, 2.0], True, [0.25, 0.125]),
        ((16, 16), [1, 4], [0.0, 3.0], False, [0.5, 0.75]),
    ]


@pytest.mark.parametrize("phases", [2, 3])
def test_fewer_pixels_keep_the_fractions_of_all_phases_everywhere(phases: int) -> None:
    """Also of an image that is nothing but ties: stripes of one pixel, of which every new pixel holds two phases."""
    stream = torch.Generator().manual_seed(1)
    blocks = torch.randint(phases, (4, 32, 32), generator=stream).repeat_interleave(2, 1).repeat_interleave(2, 2)
    found = coarsened(indicators(blocks, phases), 2)
    torch.testing.assert_close(found, indicators(blocks[:, ::2, ::2], phases))
    ties = (torch.arange(64) % 2).expand(4, 64, 64)
    halves = coarsened(indicators(ties, 2), 2)[:, 0].unflatten(1, (2, 16)).mean((2, 3))
    assert ((halves - 0.5).abs() < 0.1).all()
    thirds = coarsened(indicators(torch.randint(phases, (4, 96, 96), generator=stream), phases), 3)
    torch.testing.assert_close(thirds, thirds.round())
