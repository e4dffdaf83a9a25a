"""What every family has in common: seeding, periodicity, all phases present; families of one's own; what is refused."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from microdesign.core.config import load_config
from microdesign.core.errors import InputError
from microdesign.microstructure.data.dataset import Dataset
from microdesign.microstructure.generators.dataset_generation import GenerateConfig, GenerateJob, generate_to
from microdesign.microstructure.generators.registry import FAMILIES, find_family, generate

ALL = list(FAMILIES)
VOLUMES = [name for name, family in FAMILIES.items() if 3 in family.dims]
MICRO2D = [
    "AngEllipse",
    "GRF",
    "NBSA",
    "RandomEllipse",
    "VoidSmall",
    "VoidSmallBig",
    "VoronoiLarge",
    "VoronoiMedium",
    "VoronoiMediumSpaced",
    "VoronoiSmall",
]
UNRESOLVED = {"Lines", "FilteredNoise", "NBSA"}
"""Families that may have features of a pixel, and document it."""


def changes(labels: np.ndarray, axis: int) -> np.ndarray:
    """Whether each pixel differs from the next one along a spatial axis, around the image."""
    return np.roll(labels, -1, axis) != labels


def test_the_classes_of_micro2d_are_there() -> None:
    assert set(MICRO2D) < set(ALL)
    assert set(VOLUMES) > {"GRF", "Spinodal", "FilteredNoise", "VoidSmall", "VoronoiMedium", "Polycrystal"}


def test_a_sample_depends_on_seed_and_index_alone() -> None:
    for family, able in FAMILIES.items():
        for dims in able.dims:
            case, shape = f"{family} {dims}-D", (32, 32) if dims == 2 else (18, 18, 18)
            whole = generate(family, 8, shape, seed=3)
            parts = [generate(family, 3, shape, seed=3, start=5), generate(family, 1, shape, seed=3, start=2)]
            np.testing.assert_array_equal(whole.labels[5:8], parts[0].labels, case)
            np.testing.assert_array_equal(whole.labels[2:3], parts[1].labels, case)
            assert whole.generation[5:8] == parts[0].generation, case
            other = generate(family, 8, shape, seed=4).labels
            assert (other != whole.labels).reshape(8, -1).any(axis=1).all(), case
            assert len({image.tobytes() for image in whole.labels}) == 8, case


DIGEST = """
import hashlib
from microdesign.microstructure.generators.registry import FAMILIES, generate
for name, family in sorted(FAMILIES.items()):
    for dims in family.dims:
        batch = generate(name, 2, (20,) * dims, seed=7, start=1030)
        print(name, dims, hashlib.sha256(batch.labels.tobytes() + repr(batch.generation).encode()).hexdigest())
"""


def test_another_process_draws_the_same() -> None:
    environment = os.environ | {"PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True, timeout=300, env=environment
    )
    there = dict(line.rsplit(" ", 1) for line in run.stdout.splitlines())
    for name, family in FAMILIES.items():
        # Other samples first, and one at a time: what is cached between draws must not matter.
        generate(name, 3, (20, 20), seed=8)
        for dims in family.dims:
            batches = [generate(name, 1, (20,) * dims, seed=7, start=index) for index in (1031, 1030)][::-1]
            labels = b"".join(batch.labels.tobytes() for batch in batches)
            texts = repr(tuple(batch.generation[0] for batch in batches))
            assert hashlib.sha256(labels + texts.encode()).hexdigest() == there[f"{name} {dims}"]


def test_images_are_two_phase_and_described() -> None:
    for family in ALL:
        for size in (16, 48, 128):
            case, batch = f"{family} {size}", generate(family, 6, (size, size))
            assert batch.labels.shape == (6, size, size), case
            assert batch.classes == (family,) * 6, case
            assert batch.periodic, case
            means = batch.labels.mean(axis=(1, 2))
            assert ((means > 0) & (means < 1)).all(), case
            assert batch.labels.max() == 1, case
            for text, phi in zip(batch.generation, means, strict=True):
                parameters = json.loads(text)
                if "fraction" in parameters and size > 16:
                    assert phi == pytest.approx(parameters["fraction"], abs=2e-3), case


def test_spread_of_volume_fraction_and_anisotropy() -> None:
    for family in sorted({*MICRO2D} - {"NBSA"}):
        labels = generate(family, 120, (64, 64), seed=1).labels
        phi = labels.mean(axis=(1, 2))
        most = 0.4 if family.endswith("Ellipse") else 0.5
        # Phase 1 is the rarer one.
        assert phi.min() < (0.15 if family == "VoronoiLarge" else 0.08), family  # one cell of 26 pixels is a sixth
        assert 0.85 * most < phi.max() < 1.15 * most, family
        if family in ("GRF", "AngEllipse"):
            ratio = np.log(changes(labels, 1).mean((1, 2)) / changes(labels, 2).mean((1, 2)))
            low, high = np.quantile(ratio, [0.05, 0.95])
            assert low < -0.5, family
            assert high > 0.5, family


def test_the_seam_looks_like_the_inside_and_features_are_resolved() -> None:
    for family in ALL:
        # A line changes a whole row at once: more samples for the same certainty.
        labels = generate(family, 4000 if family == "Lines" else 250, (48, 48), seed=2).labels
        phi = labels.mean(axis=(1, 2))
        for axis in (1, 2):
            changed = changes(labels, axis)
            profile = changed.mean(axis=(0, 3 - axis))
            # The last entry compares the last pixel with the first, across the seam.
            # A cell's side is tens of pixels in a row, so that its surface scatters more.
            rel = 0.3 if family.startswith("Voronoi") else 0.15
            assert profile[-1] == pytest.approx(profile[:-1].mean(), rel=rel), f"{family} axis {axis}"
            # Mean chord along the axis, two interfaces a chord, of the rarer phase, whichever it is.
            chord = 2 * np.minimum(phi, 1 - phi) / np.maximum(changed.mean(axis=(1, 2)), 1e-9)
            assert family in UNRESOLVED or np.quantile(chord, 0.05) > 1.9, f"{family} axis {axis}"


def test_volumes_are_periodic_and_two_phase() -> None:
    for family in VOLUMES:
        batch = generate(family, 80, (20, 20, 20), seed=2)
        assert batch.labels.shape == (80, 20, 20, 20), family
        means = batch.labels.mean(axis=(1, 2, 3))
        assert ((means > 0) & (means < 1)).all(), family
        assert means.std() > 0.05, family
        for axis in (1, 2, 3):
            others = tuple(a for a in range(4) if a != axis)
            profile = changes(batch.labels, axis).mean(axis=others)
            rel = 0.3 if family.startswith("Voronoi") else 0.15
            assert profile[-1] == pytest.approx(profile[:-1].mean(), rel=rel), f"{family} axis {axis}"


def test_rectangles_hold_the_same_microstructure_as_squares() -> None:
    """Interface and volume fraction of images three times as long are those of squares of the same shortest edge."""
    for name, family in FAMILIES.items():
        for dims, short, long in [(2, 48, 144), (3, 20, 40)]:
            if dims not in family.dims or (dims == 3 and name.startswith("Voronoi")):  # three cells in a volume
                continue
            square, tall, wide = (
                generate(name, 40, shape, seed=1).labels
                for shape in ((short,) * dims, (long, *(short,) * (dims - 1)), (*(short,) * (dims - 1), long))
            )
            means = []
            for images in (square, tall, wide):
                axes = range(1, 1 + dims)
                interface = sum((images != np.roll(images, 1, axis)).mean() for axis in axes)
                means.append((images.mean(), interface))
                # Neighbours across the seam differ as often as others do, but for chance.
                for axis in axes:
                    seam = (images.take(0, axis) != images.take(-1, axis)).mean()
                    assert seam < 2.0 * interface / dims + 0.02, (name, images.shape, axis)
            assert np.allclose(means[1], means[2], rtol=0.3), (name, dims, means)
            # A square of 48 pixels has room for two or three large cells, which miss the fraction by much.
            assert name == "VoronoiLarge" or np.allclose(means[0], means[1], rtol=0.3), (name, dims, means)


def test_a_polycrystal_has_every_phase() -> None:
    for phases, shape in [(2, (48, 48)), (7, (48, 48)), (40, (48, 48)), (3, (20, 20, 20)), (40, (20, 20, 20))]:
        batch = generate("Polycrystal", 10, shape, n_phases=phases)
        assert batch.n_phases == phases
        for image, text in zip(batch.labels, batch.generation, strict=True):
            counts = np.bincount(image.ravel(), minlength=phases)
            assert len(counts) == phases
            assert counts.min() > 0, f"{phases} {shape}"
            np.testing.assert_allclose(json.loads(text)["fractions"], counts / image.size, atol=1e-4)


OWN = """
import numpy as np


def layers(sample):
    image = np.zeros(sample.shape, dtype=np.uint8)
    thickness = int(sample.stream.integers(0, sample.size + 1))
    image[:thickness] = 1
    return image, {"thickness": thickness}


def nothing(sample):
    return np.zeros(sample.shape, dtype=np.uint8), {}


def grey(sample):
    return np.full(sample.shape, 7, dtype=np.uint8), {}


def flat(sample):
    return np.zeros(5, dtype=np.uint8), {}


number = 3
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_generators.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    return "own_generators"


def test_a_family_of_ones_own(tmp_path: Path, own: str) -> None:
    before = generate("GRF", 2, (32, 32)).labels
    batch = generate(f"{own}:layers", 50, (16, 16))
    # Images of one phase are drawn again, from the same stream.
    assert 0 < batch.labels.mean(axis=(1, 2)).min() < batch.labels.mean(axis=(1, 2)).max() < 1
    assert set(batch.classes) == {"layers"}
    np.testing.assert_array_equal(generate(f"{own}:layers", 1, (16, 16), start=7).labels[0], batch.labels[7])
    assert generate(f"{own}:layers", 2, (16, 16, 16)).shape == (16, 16, 16)
    np.testing.assert_array_equal(generate("GRF", 2, (32, 32)).labels, before)
    config = load_config(GenerateConfig, overrides=[f"families=[GRF, {own}:layers]", "count_per_family=3", "size=16"])
    generate_to(GenerateJob(out=str(tmp_path / "set"), **dict(config)))
    dataset = Dataset.open(tmp_path / "set")
    assert dataset.manifest.classes == {"GRF": 3, "layers": 3}
    np.testing.assert_array_equal(dataset.load().labels[3:], batch.labels[:3])


def test_a_family_of_ones_own_that_does_not_fit(own: str) -> None:
    for name, options, message in [
        ("nothing", {}, "'nothing' gave 100 one-phase images in a row at size 16; use a larger one"),
        ("nothing", {"n_phases": 3}, "'nothing' gave 100 images without all 3 phases in a row"),
        ("grey", {}, r"'grey' drew uint8 of shape \(16, 16\), 7 to 7; expected labels 0 to 1"),
        ("flat", {}, r"'flat' drew uint8 of shape \(5,\), .* of shape \(16, 16\)"),
        ("number", {}, "'own_generators:number' is no function; expected one that takes a Sample"),
        ("absent", {}, "'own_generators:absent' cannot be loaded .*; expected module:name of a function"),
    ]:
        with pytest.raises(InputError, match=message):
            generate(f"{own}:{name}", 1, (16, 16), **options)
    with pytest.raises(InputError, match="'families' is not valid: expected different names"):
        load_config(GenerateConfig, overrides=[f"families=[{own}:layers, {own}:layers]"])


def test_refuses() -> None:
    for family, n, shape, options, message in [
        (
            "Foam",
            1,
            (64, 64),
            {},
            "family 'Foam' is unknown; expected one of: AngEllipse, .*, or module:name of your own",
        ),
        ("GRF", 1, (64, 64), {"start": -1}, "start = -1 is too small; expected at least 0"),
        ("GRF", 0, (64, 64), {}, "n = 0 is too small"),
        ("GRF", 1, (8, 8), {}, "a side of the shape = 8 is too small; expected at least 16"),
        ("GRF", 1, (32, 8), {}, "a side of the shape = 8 is too small; expected at least 16"),
        ("GRF", 1, (), {}, r"shape = \(\) has no sides; expected two or three numbers"),
        ("Lines", 1, (16, 16, 16), {}, "family 'Lines' draws dims 2, not 3"),
        ("GRF", 1, (16,) * 4, {}, "family 'GRF' draws dims 2 or 3, not 4"),
        ("GRF", 1, (16, 16), {"n_phases": 3}, "family 'GRF' draws 2 phases, not 3"),
        ("Polycrystal", 1, (16, 16), {"n_phases": 1}, "family 'Polycrystal' draws 2 to 256 phases, not 1"),
    ]:
        with pytest.raises(InputError, match=message):
            generate(family, n, shape, **options)
    assert find_family("GRF")[0] == "GRF"
