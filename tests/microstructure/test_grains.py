import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from microdesign.core.errors import InputError
from microdesign.microstructure.grains import find_grains, grouped, misorientations
from microdesign.microstructure.io.formats.ebsd.scan import CrystalPhase, EbsdScan

CUBIC, HEXAGONAL = CrystalPhase("Ni", "m-3m"), CrystalPhase("Ti", "6/mmm")


def scan_of(turns: Rotation, phase: np.ndarray, phases: tuple[CrystalPhase, ...] = (CUBIC,)) -> EbsdScan:
    """A scan whose angles refer to the map's own axes."""
    euler = turns.as_euler("ZXZ").reshape(*phase.shape, 3)
    return EbsdScan("a.ctf", phase.astype(np.uint8), euler, (1.0, 1.0), phases, "map", True)


def voronoi(n: int, shape: tuple[int, int] = (60, 40), seed: int = 0) -> tuple[np.ndarray, Rotation]:
    stream = np.random.default_rng(seed)
    points = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).reshape(-1, 2)
    owner = cKDTree(stream.random((n, 2)) * shape).query(points)[1].reshape(shape)
    return owner, Rotation.random(n, random_state=seed)


def same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    pairs = len(np.unique(np.stack([a.ravel(), b.ravel()]), axis=1).T)
    return pairs == len(np.unique(a)) == len(np.unique(b))


def test_grains_are_found_whatever_variant_of_their_orientation_a_point_has() -> None:
    owner, turns = voronoi(12)
    stream = np.random.default_rng(1)
    for phase in (CUBIC, HEXAGONAL):
        symmetry = phase.rotations
        noise = Rotation.from_rotvec(np.radians(0.3) * stream.standard_normal((owner.size, 3)))
        points = turns[owner.ravel()] * noise * symmetry[stream.integers(0, len(symmetry), owner.size)]
        grains = find_grains(scan_of(points, np.ones(owner.shape), (phase,)))
        assert same_partition(grains.labels, owner), phase
        assert np.all(np.diff(np.bincount(grains.labels.ravel())) <= 0), "the largest comes first"
        both = Rotation.concatenate([grains.orientations, turns])
        of = np.array([owner[grains.labels == grain][0] for grain in range(len(grains))])
        # A mean of some 200 points is that much nearer than a point.
        off = misorientations(both, np.arange(len(grains)), len(grains) + of, phase)
        assert off.max() < 0.15, phase
        assert (grains.filled, grains.deviation) == (0.0, (0.0, 0.0))


def test_the_angle_between_grains() -> None:
    """Two halves 8 degrees apart are one grain above that angle and two below."""
    left = np.arange(20)[:, None].repeat(10, 1) < 10
    turns = Rotation.from_euler("Z", np.where(left, 10.0, 18.0).reshape(-1, 1), degrees=True)
    for angle, count in ((7.9, 2), (8.1, 1)):
        assert len(find_grains(scan_of(turns, np.ones(left.shape)), misorientation=angle)) == count, angle
    # 90 degrees about z is the same cubic crystal, and not the same hexagonal one; 60 degrees the other way round.
    for turn, phase, count in ((90, CUBIC, 1), (90, HEXAGONAL, 2), (60, CUBIC, 2), (60, HEXAGONAL, 1)):
        turns = Rotation.from_euler("Z", np.where(left, 10.0, 10.0 + turn).reshape(-1, 1), degrees=True)
        assert len(find_grains(scan_of(turns, np.ones(left.shape), (phase,)))) == count, (turn, phase)


def test_phases_are_never_one_grain_and_holes_are_filled() -> None:
    phase = np.where(np.arange(20)[:, None].repeat(10, 1) < 12, 1, 2)
    phase[3:5, 3:5] = 0
    turns = Rotation.from_euler("Z", np.full((200, 1), 33.0), degrees=True)
    wrong = turns.as_quat().reshape(20, 10, 4)
    wrong[15, 5] = Rotation.from_euler("X", 40, degrees=True).as_quat()
    scan = scan_of(Rotation.from_quat(wrong.reshape(-1, 4)), phase, (CUBIC, CUBIC))
    grains = find_grains(scan)
    np.testing.assert_array_equal(grains.labels, np.arange(20)[:, None].repeat(10, 1) >= 12)
    assert grains.phases.tolist() == [1, 2]
    assert grains.filled == pytest.approx(5 / 200)
    assert len(find_grains(scan, least=1)) == 3
    with pytest.raises(InputError, match=r"a\.ctf: has no grain of 500 points, 98% of them indexed"):
        find_grains(scan, least=500)
    for settings, message in [
        ({"misorientation": 0.0}, "misorientation = 0.0 is out"),
        ({"least": 0}, "least = 0 is too"),
    ]:
        with pytest.raises(InputError, match=message):
            find_grains(scan, **settings)


def test_classes_of_orientation() -> None:
    owner, turns = voronoi(60)
    grains = find_grains(scan_of(turns[owner.ravel()], np.ones(owner.shape)), least=1)
    count = len(grains)
    assert count >= 60
    assert grouped(grains, (CUBIC,), count) is grains
    deviations = []
    for most in (40, 20, 5):
        classes = grouped(grains, (CUBIC,), most)
        assert (len(classes), classes.found) == (most, count)
        # Each grain is in one class as a whole.
        assert len(np.unique(np.stack([grains.labels.ravel(), classes.labels.ravel()]), axis=1).T) == count
        assert 0 < classes.deviation[1] < classes.deviation[0]
        deviations.append(classes.deviation[0])
    # No two cubic orientations are further apart than 62.8 degrees.
    assert deviations == sorted(deviations)
    assert deviations[-1] < 62.8
    two = find_grains(scan_of(turns[owner.ravel()], np.where(owner < 30, 1, 2), (CUBIC, CUBIC)), least=1)
    assert set(grouped(two, (CUBIC, CUBIC), 2).phases.tolist()) == {1, 2}
    with pytest.raises(InputError, match="classes = 1 is too small; expected at least one for each phase"):
        grouped(two, (CUBIC, CUBIC), 1)
