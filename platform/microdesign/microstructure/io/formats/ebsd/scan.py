"""A scan of electron backscatter diffraction: the phase and the orientation of the crystal at each point of a grid."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from microdesign.core.errors import InputError

Frame = Literal["map", "oxford", "edax"]
"""Axes that the Euler angles refer to, see `EbsdScan.rotations`."""

FRAMES: dict[Frame, NDArray[np.float64]] = {
    "map": np.eye(3),
    "oxford": np.diag([1.0, -1.0, -1.0]),
    "edax": np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]]),
}
"""Matrix that takes coordinates in the frame of the Euler angles to those in the axes of the map."""

LAUE_GROUPS = ("-1", "2/m", "mmm", "4/m", "4/mmm", "-3", "-3m", "6/m", "6/mmm", "m-3", "m-3m")
"""The Laue groups in the order of Oxford's numbers, from 1."""

_ROTATIONS = dict(zip(LAUE_GROUPS, ("C1", "C2", "D2", "C4", "D4", "C3", "D3", "C6", "D6", "T", "O"), strict=True))


@dataclass(frozen=True)
class CrystalPhase:
    """A crystalline phase of a scan.

    Attributes:
        name: Its name in the file.
        laue: Its Laue group, one of `LAUE_GROUPS`.
    """

    name: str
    laue: str

    @property
    def rotations(self) -> Rotation:
        """The rotations that the crystal cannot be told apart by, in axes with x along a and z along c."""
        # A monoclinic crystal has its twofold axis along b.
        axis = "Y" if self.laue == "2/m" else "Z"
        return Rotation.create_group(_ROTATIONS[self.laue], axis=axis)

    @property
    def has_hexagonal_axes(self) -> bool:
        """Whether a and b are at 120 degrees, so that x along a and x along a* differ."""
        return self.laue in ("-3", "-3m", "6/m", "6/mmm")


@dataclass(frozen=True)
class EbsdScan:
    """A scan on a square or rectangular grid.

    Attributes:
        source: The file.
        phase: Number of the phase at each point, from 1; 0 is not indexed. uint8 `(X, Y)`: x to the right of the map, y
            down.
        euler: Bunge's angles phi1, Phi, phi2 in radians as the file has them, `(X, Y, 3)`.
        spacing: Steps along x and y, micrometers.
        phases: The phases from number 1 on.
        frame: Axes that the angles refer to.
        x_along_a: Whether the crystal's x is along a (EDAX) and not along a* (Oxford), where these differ.
        rotated: Why the frame of the angles is not what `frame` says, empty where it is.
    """

    source: str
    phase: NDArray[np.uint8]
    euler: NDArray[np.float64]
    spacing: tuple[float, float]
    phases: tuple[CrystalPhase, ...]
    frame: Frame
    x_along_a: bool
    rotated: str = ""

    @property
    def indexed(self) -> float:
        """Share of the points with a phase."""
        return float((self.phase > 0).mean())

    def rotations(self, frame: Frame | None = None) -> Rotation:
        """Returns the orientations of all points in C order, from the axes of the crystal to those of the map.

        Map: x to the right, y down, z into the specimen. Crystal: z along c; x along a where a and b are at 120 degrees
        (the axes of the usual tables of stiffness), as in the file otherwise. Euler angles do not refer to the axes of
        the map: Oxford's (.ctf, .h5oina) have y up and z out of the specimen, that is turned by 180 degrees about x;
        EDAX's (.ang) have x down, y to the right and z out, turned by 180 degrees about the diagonal of x and y. These
        are the usual settings, as in MTEX (`loadEBSD_ctf`, `loadEBSD_ang`) and, but for a half turn about z that
        no property in the plane feels, in DREAM.3D.

        Args:
            frame: Another frame than the file's usual one: `map` where the angles refer to the map's own axes.

        Raises:
            InputError: The frame is unknown, or the file says that its angles refer to other axes and none is given.
        """
        if frame is not None and frame not in FRAMES:
            raise InputError(f"frame = '{frame}' is unknown; expected one of: {', '.join(FRAMES)}.")
        if frame is None and self.rotated:
            raise InputError(f"{self.source}: {self.rotated}; say what the Euler angles refer to by --frame.")
        phi1, Phi, phi2 = np.moveaxis(self.euler.reshape(-1, 3), -1, 0)
        if not self.x_along_a:
            # Oxford's x is along a*, 30 degrees from a towards b.
            hexagonal = np.array([False, *(phase.has_hexagonal_axes for phase in self.phases)])[self.phase.ravel()]
            phi2 = phi2 - np.where(hexagonal, np.radians(30), 0)
        turn = Rotation.from_matrix(FRAMES[frame or self.frame]).as_quat()
        return Rotation.from_quat(quaternion_product(turn, _bunge_quaternions(phi1, Phi, phi2)))


def quaternion_product(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the quaternions (x, y, z, w) of first the second rotation, then the first one, `(..., 4)`.

    SciPy's product of rotations takes some 25 times as long for a million of them.
    """
    x1, y1, z1, w1 = np.moveaxis(first, -1, 0)
    x2, y2, z2, w2 = np.moveaxis(second, -1, 0)
    return np.stack(
        [
            w1 * x2 + x1 * w2 + y1 * z2 - z1 * y2,
            w1 * y2 - x1 * z2 + y1 * w2 + z1 * x2,
            w1 * z2 + x1 * y2 - y1 * x2 + z1 * w2,
            w1 * w2 - x1 * x2 - y1 * y2 - z1 * z2,
        ],
        axis=-1,
    )


def _bunge_quaternions(
    phi1: NDArray[np.float64], Phi: NDArray[np.float64], phi2: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Rotations about z by phi1, about the new x by Phi, about the new z by phi2, from the crystal to the specimen."""
    half_sum, half_difference = (phi1 + phi2) / 2, (phi1 - phi2) / 2
    cos, sin = np.cos(Phi / 2), np.sin(Phi / 2)
    return np.stack(
        [sin * np.cos(half_difference), sin * np.sin(half_difference), cos * np.sin(half_sum), cos * np.cos(half_sum)],
        axis=-1,
    )


def read_table(path: Path, skip: int, columns: list[int], decimal: str = ".") -> NDArray[np.float64]:
    """Reads columns of a text file of numbers, `(N, len(columns))`.

    Args:
        path: The file.
        skip: Lines of its header.
        columns: Which columns, from 0.
        decimal: The decimal sign.

    Raises:
        InputError: A line has fewer columns, or holds no numbers.
    """
    import pandas  # Takes half a second to import, which `--help` has not.

    try:
        table = pandas.read_csv(
            path, sep=r"\s+", header=None, skiprows=skip, usecols=columns, decimal=decimal, encoding="latin-1"
        )
        return table[columns].to_numpy(dtype=np.float64)
    except (ValueError, pandas.errors.ParserError) as error:
        raise InputError(f"{path}: its table is damaged ({' '.join(str(error).split())}).") from None


def made_scan(
    path: Path,
    table: Mapping[str, NDArray],
    cells: tuple[int, int],
    spacing: tuple[float, float],
    phases: Sequence[CrystalPhase],
    **more: Any,
) -> EbsdScan:
    """Returns the scan of points that are stored row by row, x fastest.

    Args:
        path: The file.
        table: `phase` `(N,)` and `euler` `(N, 3)` in radians; of points without a phase the angles do not matter.
        cells: Points along x and y.
        spacing: Steps along x and y.
        phases: The phases.
        more: Other fields of `EbsdScan`.

    Raises:
        InputError: There are more or fewer points than cells, a phase that is not listed, or no valid steps.
    """
    phase, euler = table["phase"], table["euler"]
    if min(cells) < 1 or len(phase) != cells[0] * cells[1]:
        raise InputError(f"{path}: holds {len(phase)} points; expected {cells[0]} x {cells[1]} by its header.")
    # A single row has no step along y.
    steps = [step for step, count in zip(spacing, cells, strict=True) if count > 1]
    if not all(0 < step < math.inf for step in steps):
        raise InputError(f"{path}: has steps {spacing}; expected two lengths above 0.")
    wrong = phase[~np.isin(phase, np.arange(len(phases) + 1))]
    if len(wrong):
        raise InputError(
            f"{path}: has phase {wrong[0]:g}; expected 0 to {len(phases)}, of which its header lists each."
        )
    bad = (phase > 0) & ~np.isfinite(euler).all(axis=1)
    if bad.any():
        raise InputError(f"{path}: point {int(np.flatnonzero(bad)[0])} has a phase and no Euler angles.")
    return EbsdScan(
        source=str(path),
        phase=np.ascontiguousarray(phase.reshape(cells[::-1]).T, dtype=np.uint8),
        euler=np.ascontiguousarray(np.nan_to_num(euler).reshape(*cells[::-1], 3).swapaxes(0, 1)),
        spacing=(spacing[0], spacing[1] if cells[1] > 1 else spacing[0]),
        phases=tuple(phases),
        **more,
    )


def laue_group(text: str, path: Path) -> str:
    """Returns a Laue group as `LAUE_GROUPS` spells it.

    Raises:
        InputError: There is no such group.
    """
    spelled = {"m3": "m-3", "m3m": "m-3m"}.get(text.strip(), text.strip())
    if spelled not in LAUE_GROUPS:
        raise InputError(f"{path}: has a phase of the Laue group '{text}'; expected one of: {', '.join(LAUE_GROUPS)}.")
    return spelled
