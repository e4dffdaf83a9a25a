"""Grains of an EBSD scan: connected points of one phase whose orientations differ little, with their mean orientation.

Orientations are rotations R from the axes of the crystal to those of the map; R s, with s a rotation of the crystal's
symmetry, is the same orientation. The misorientation of two is the least angle of R_1^-1 R_2 s over all s (F. J.
Humphreys, J. Mater. Sci. 36, 3833 (2001)); the mean is that of the quaternions, each in the symmetric variant that lies
nearest (the eigenvector of the sum of q q^T: F. L. Markley et al., J. Guid. Control Dyn. 30, 1193 (2007)).

Shapes: N points, G grains.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.transform import Rotation

from microdesign.core.errors import InputError
from microdesign.microstructure.io.formats.ebsd.scan import CrystalPhase, EbsdScan, Frame, quaternion_product

_PASSES = 2
"""Means are found about the first point of a grain, then about that mean."""
_INVERSE = np.array([-1.0, -1.0, -1.0, 1.0])
"""Factors of the inverse of a quaternion."""
_PART = 2**16
"""Pairs that are compared at once."""
MOST_GROUPED = 6000
"""Grains whose misorientations with each other fit into memory (150 MB)."""


@dataclass(frozen=True)
class Grains:
    """The grains of a scan, the largest first.

    Attributes:
        labels: Grain of each point, int64 `(X, Y)`, from 0.
        phases: Number of the phase of each grain, from 1, `(G,)`.
        orientations: Mean orientation of each grain in the axes of the map, G rotations.
        found: Number of grains in the scan, also where classes of them stand for them.
        filled: Share of the points that took the grain of the nearest point: not indexed, or in too small a grain.
        deviation: Largest and mean angle between a grain and the class that stands for it, degrees; 0 if each grain is
            its own.
    """

    labels: NDArray[np.int64]
    phases: NDArray[np.int64]
    orientations: Rotation
    found: int
    filled: float
    deviation: tuple[float, float] = (0.0, 0.0)

    def __len__(self) -> int:
        return len(self.phases)


def find_grains(scan: EbsdScan, misorientation: float = 5.0, least: int = 5, frame: Frame | None = None) -> Grains:
    """Returns the grains of a scan.

    Args:
        scan: The scan.
        misorientation: Angle in degrees from which on two neighbours along x or y belong to different grains. 5 to 15
            finds grains, less finds subgrains too.
        least: Points of a grain; smaller ones, mostly wrongly indexed, are filled from around. 1 keeps all.
        frame: See `EbsdScan.rotations`.

    Raises:
        InputError: An argument is out of its range, or no grain is as large as `least`.
    """
    if not 0 < misorientation < 180:
        raise InputError(f"misorientation = {misorientation} is out of range; expected an angle of 0 to 180 degrees.")
    if least < 1:
        raise InputError(f"least = {least} is too small; expected at least 1 point.")
    turns = scan.rotations(frame)
    parts = _connected(scan, turns.as_quat().reshape(*scan.phase.shape, 4), misorientation)
    sizes = np.bincount(parts.ravel())
    kept = (scan.phase > 0) & (sizes[parts] >= least)
    if not kept.any():
        raise InputError(f"{scan.source}: has no grain of {least} points, {scan.indexed:.0%} of them indexed.")
    nearest = ndimage.distance_transform_edt(~kept, scan.spacing, return_distances=False, return_indices=True)
    filled = parts[tuple(nearest)]
    found, inverse, counts = np.unique(filled, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(found), dtype=np.int64)
    rank[order] = np.arange(len(found))
    labels = rank[inverse].reshape(parts.shape)
    owner = labels[kept]
    first = np.unique(owner, return_index=True)[1]
    phases = scan.phase[kept][first].astype(np.int64)
    orientations = _means(owner, turns[kept.ravel()], np.ones(len(owner)), phases, scan.phases)
    return Grains(labels, phases, orientations, len(phases), float(1 - kept.mean()))


def grouped(grains: Grains, phases: tuple[CrystalPhase, ...], most: int) -> Grains:
    """Returns at most `most` classes of grains of similar orientation in the place of the grains.

    Classes are those of complete linkage: the largest misorientation in a class is made as small as the number allows.

    Args:
        grains: The grains.
        phases: The phases of their scan.
        most: Number of classes.

    Raises:
        InputError: There are too many grains, or more phases than classes.
    """
    if len(grains) <= most:
        return grains
    if len(np.unique(grains.phases)) > most:
        raise InputError(f"classes = {most} is too small; expected at least one for each phase.")
    if len(grains) > MOST_GROUPED:
        raise InputError(
            f"{len(grains)} grains are too many to compare each with each; expected at most {MOST_GROUPED}."
        )
    first, second = np.triu_indices(len(grains), 1)
    # Different phases are never one class.
    angles = np.full(len(first), 360.0)
    for number, phase in enumerate(phases, start=1):
        same = (grains.phases[first] == number) & (grains.phases[second] == number)
        angles[same] = misorientations(grains.orientations, first[same], second[same], phase)
    owner = fcluster(linkage(angles, "complete"), most, "maxclust") - 1
    weights = np.bincount(grains.labels.ravel(), minlength=len(grains)).astype(np.float64)
    _, start, owner = np.unique(owner, return_index=True, return_inverse=True)
    kinds = grains.phases[start]
    means = _means(owner, grains.orientations, weights, kinds, phases)
    both = Rotation.concatenate([grains.orientations, means])
    deviations = np.zeros(len(grains))
    for number, phase in enumerate(phases, start=1):
        mine = np.flatnonzero(grains.phases == number)
        deviations[mine] = misorientations(both, mine, len(grains) + owner[mine], phase)
    mean = float(np.average(deviations, weights=weights))
    return replace(
        grains,
        labels=owner[grains.labels],
        phases=kinds,
        orientations=means,
        deviation=(float(deviations.max()), mean),
    )


def misorientations(
    orientations: Rotation, first: NDArray[np.int64], second: NDArray[np.int64], phase: CrystalPhase
) -> NDArray[np.float64]:
    """Returns the misorientation of pairs of orientations of one phase, degrees.

    Example:
        >>> cubic = CrystalPhase("Ni", "m-3m")
        >>> turns = Rotation.from_euler("Z", [[0], [80]], degrees=True)
        >>> misorientations(turns, np.array([0]), np.array([1]), cubic).round(6).tolist()
        [10.0]
    """
    if not len(first):
        return np.zeros(0)
    quats = orientations.as_quat()
    best, _ = _nearest_variant(quats[first], quats[second], phase)
    return np.degrees(2 * np.arccos(np.minimum(best, 1)))


def _connected(scan: EbsdScan, quats: NDArray[np.float64], misorientation: float) -> NDArray[np.int64]:
    """The connected part of each point, `(X, Y)`; points that are not indexed are parts of their own."""
    number = np.arange(scan.phase.size).reshape(scan.phase.shape)
    limit = np.cos(np.radians(misorientation) / 2)
    pairs = []
    for here, there in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        for index, phase in enumerate(scan.phases, start=1):
            same = (scan.phase[here] == index) & (scan.phase[there] == index)
            if not same.any():
                continue
            best, _ = _nearest_variant(quats[here][same], quats[there][same], phase)
            joined = best > limit
            pairs.append(np.stack([number[here][same][joined], number[there][same][joined]]))
    first, second = np.concatenate(pairs, axis=1) if pairs else np.zeros((2, 0), dtype=np.int64)
    graph = coo_array((np.ones(len(first), dtype=bool), (first, second)), shape=(number.size, number.size))
    return connected_components(graph, directed=False)[1].reshape(number.shape).astype(np.int64)


def _means(
    owner: NDArray[np.int64],
    turns: Rotation,
    weights: NDArray[np.float64],
    kinds: NDArray[np.int64],
    phases: tuple[CrystalPhase, ...],
) -> Rotation:
    """The weighted mean of the orientations of each owner, of the phases `kinds`, `(G,)`."""
    quats = turns.as_quat()
    centres = quats[np.unique(owner, return_index=True)[1]]
    for _ in range(_PASSES):
        aligned = quats.copy()
        for number, phase in enumerate(phases, start=1):
            mine = np.flatnonzero(kinds[owner] == number)
            if len(mine):
                _, variant = _nearest_variant(centres[owner[mine]], quats[mine], phase)
                aligned[mine] = quaternion_product(quats[mine], phase.rotations.as_quat()[variant] * _INVERSE)
        sums = np.empty((len(kinds), 4, 4))
        for i in range(4):
            for j in range(4):
                sums[:, i, j] = np.bincount(owner, weights * aligned[:, i] * aligned[:, j], minlength=len(kinds))
        centres = np.linalg.eigh(sums)[1][..., -1]
    return Rotation.from_quat(centres)


def _nearest_variant(
    first: NDArray[np.float64], second: NDArray[np.float64], phase: CrystalPhase
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The cosine of half the misorientation of pairs of quaternions, and the number of the s of the least angle."""
    symmetries = phase.rotations.as_quat().T
    best, variant = np.empty(len(first)), np.empty(len(first), dtype=np.int64)
    for start in range(0, len(first), _PART):
        part = slice(start, start + _PART)
        between = quaternion_product(first[part] * _INVERSE, second[part])
        cosines = np.abs(between @ symmetries)
        variant[part] = cosines.argmax(axis=1)
        best[part] = cosines.max(axis=1)
    return best, variant
