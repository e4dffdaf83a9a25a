"""Boundaries of an image: repeated periodically, or mirrored at its faces.

An image that is mirrored at each face and then repeated is periodic in twice its size. Its fields are even or odd about
the faces, so that they live on the image's own grid: a reflection of axis a changes the sign of u_a, of E_ab with b !=
a and of the temperature gradient E_a, and of nothing else. For a load E component c of the displacement is therefore

    odd about the faces across axis a  if  (c = a)  differs from  (E is a shear that involves a),

and even if not; the temperature for a gradient along j is odd across j and even across the others. Odd fields are zero
on the faces, even ones leave them free:

- conduction: isothermal faces at both ends, insulated sides;
- normal strains: each face moves along its normal as a whole and is free of shear stress;
- a shear strain ab: on the faces across a and b the displacement along the face is that of the macroscopic shear, the
  normal stress is zero; faces across the third axis are as above.

Loads of different parity do not interact, so that C16, C45, k12 and the like vanish by symmetry: the tensors are those
of the mirrored image, orthotropic along the axes. What anisotropic phases have off these blocks changes sign with each
reflection.
"""

from typing import Literal, NamedTuple, get_args

import numpy as np

from microdesign.core.errors import InputError
from microdesign.physics.tensors import PAIRS

Boundary = Literal["periodic", "mirror"]
"""`periodic`: the image is repeated. `mirror`: it is reflected at its faces."""

BOUNDARIES: tuple[str, ...] = get_args(Boundary)

Parity = tuple[tuple[bool, ...], ...]
"""Whether each component of a field is odd about the faces across each axis, `(C, d)`."""


class LoadCases(NamedTuple):
    """Loads that are solved together.

    Attributes:
        loads: Which of the loads, in Voigt's order.
        odd: The parity of their fields; None of periodic ones.
    """

    loads: slice
    odd: Parity | None


BoundaryChoice = Literal["auto", "periodic", "mirror"]
"""`auto`: `periodic` of images that repeat, `mirror` of others."""


def chosen_boundary(choice: str, periodic: bool) -> Boundary:
    """Returns the boundary of images that repeat, or do not.

    Raises:
        InputError: The choice is none of `BoundaryChoice`.
    """
    if choice == "auto":
        return "periodic" if periodic else "mirror"
    for boundary in get_args(Boundary):
        if choice == boundary:
            return boundary
    raise InputError(f"boundary = {choice!r} is unknown; expected one of {', '.join(get_args(BoundaryChoice))}.")


def check_boundary(boundary: str) -> None:
    """Checks the name.

    Raises:
        InputError: It is none of `BOUNDARIES`.
    """
    if boundary not in BOUNDARIES:
        raise InputError(f"boundary = {boundary!r} is unknown; expected one of {', '.join(BOUNDARIES)}.")


def load_cases(dims: int, elastic: bool, boundary: str) -> tuple[LoadCases, ...]:
    """Returns the loads by their symmetry: all together if periodic; else normal strains, each shear, each gradient.

    Args:
        dims: 2 or 3.
        elastic: Whether the loads are strains; if not, temperature gradients.
        boundary: One of `BOUNDARIES`.

    Example:
        >>> load_cases(2, True, "mirror")[1]  # the shear xy: u_x is odd along y, u_y along x
        LoadCases(loads=slice(2, 3, None), odd=((False, True), (True, False)))
    """
    if boundary == "periodic":
        return (LoadCases(slice(0, len(PAIRS[dims]) if elastic else dims), None),)
    axes = range(dims)
    if not elastic:
        return tuple(LoadCases(slice(j, j + 1), (tuple(a == j for a in axes),)) for j in axes)
    shears = enumerate(PAIRS[dims][dims:], start=dims)
    normal = LoadCases(slice(0, dims), tuple(tuple(c == a for a in axes) for c in axes))
    return normal, *(
        LoadCases(slice(load, load + 1), tuple(tuple((c == a) != (a in pair) for a in axes) for c in axes))
        for load, pair in shears
    )


def coupled(cases: tuple[LoadCases, ...]) -> np.ndarray:
    """Returns which entries of the effective tensor do not vanish by symmetry, bool `(K, K)`."""
    case_of_load = np.concatenate([np.full(case.loads.stop - case.loads.start, n) for n, case in enumerate(cases)])
    return case_of_load[:, None] == case_of_load


def without_wrap(field_S: np.ndarray, boundary: str, fill: float = 0) -> np.ndarray:
    """Returns a field of pixels for the periodic loops, which close the image from the last node to the first.

    A mirrored image has a node more along each axis than pixels, and so one more layer of pixels, which is a void.
    """
    return field_S if boundary == "periodic" else np.pad(field_S, (0, 1), constant_values=fill)
