import torch

from microdesign.model.losses.lineal_path import LinealPath
from microdesign.model.losses.two_point import excess_cess

SATURATED = 30.0


def stripes(width: int, size: int = 32) -> torch.Tensor:
    lines = (torch.arange(size) // width % 2).float()
    return lines[:, None].expand(size, size)[None, None].clone()


def test_the_surface_of_stripes_is_the_closed_form() -> None:
    """L(1) across stripes of width w is phi (1 - 1 / w), along them phi; both phases alike."""
    wide, narrow = stripes(8), stripes(2)
    loss = LinealPath(longest=1)(SATURATED * (2 * narrow - 1), wide)
    across = (0.5 * (1 - 1 / 2) - 0.5 * (1 - 1 / 8)) / 0.25
    # Entries: two phases, two axes, r = 0 and 1; only those across at r = 1 differ.
    torch.testing.assert_close(loss, torch.tensor([2 * across**2 / 8]))


def test_soft_decodes_are_judged_as_they_will_be_cut() -> None:
    target = stripes(8)
    faint = 0.01 * (2 * target - 1)  # the right stripes, hardly visible: the cut finds them
    torch.testing.assert_close(LinealPath()(faint, target), torch.zeros(1))


def test_specks_that_two_point_statistics_let_pass_are_seen() -> None:
    """Flipping one pixel in fifty changes the two-point statistics little, and the number of interfaces much."""
    target = stripes(16, 64)
    noise = (torch.rand(target.shape, generator=torch.Generator().manual_seed(0)) < 0.02).float()
    speckled = (target - noise).abs()
    coarse = stripes(8, 64)
    loss = LinealPath()
    relative = {
        name: (f(speckled) / f(coarse)).item()
        for name, f in {
            "path": lambda x: loss(SATURATED * (2 * x - 1), target),
            "cess": lambda x: excess_cess(target, x),
        }.items()
    }
    assert relative["path"] > 5 * relative["cess"]
