"""Sections of volumes: pixels, edges and what is known of them, from files too."""

from pathlib import Path

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.sections import Section, cut_sections
from microdesign.microstructure.io.convert import convert
from microdesign.microstructure.io.options import ReadOptions
from microdesign.microstructure.io.readers import read
from microdesign.microstructure.io.writers import write
from microdesign.physics.label_images import read_labels

LABELS = np.random.default_rng(0).integers(0, 2, (2, 20, 18, 16), dtype=np.uint8)
CUTS = {"x=3": LABELS[:, 3], "y=17": LABELS[:, :, 17], "z=0": LABELS[..., 0]}


def test_what_is_known_of_volumes_is_kept_where_it_is_of_sections_too() -> None:
    volumes = Microstructures(
        labels=LABELS,
        n_phases=3,
        classes=("a", "b"),
        properties={"E11": np.array([1.0, 2.0])},
        periodic=False,
        pixel_size=0.5,
        aspect=(1.0, 2.0, 4.0),
        length_unit="um",
    )
    for text, spacing in [("x=2,5", (1.0, 2.0)), ("y=2,5", (0.5, 2.0)), ("z=2,5", (0.5, 1.0))]:
        found = cut_sections(volumes, Section.parse(text), "volumes")
        along = "xyz".index(text[0])
        assert np.array_equal(found.labels, np.concatenate([np.moveaxis(v, along, 0)[[2, 5]] for v in LABELS]))
        assert (found.classes, found.n_phases, found.periodic) == (("a", "a", "b", "b"), 3, False)
        assert (found.spacing, found.length_unit, dict(found.properties)) == (spacing, "um", {})


def test_sections_of_files(tmp_path: Path) -> None:
    """Three axes of a file are one volume where a section is asked for; a data set states its own."""
    np.save(tmp_path / "one.npy", LABELS[0])
    write(tmp_path / "both", Microstructures(labels=LABELS, n_phases=2))
    for text, expected in CUTS.items():
        assert np.array_equal(read(tmp_path / "one.npy", section=text).labels, expected[:1])
        assert np.array_equal(read(tmp_path / "both", section=text).labels, expected)
    done = convert(tmp_path / "one.npy", tmp_path / "cut.npz", options=ReadOptions(section="x=1,4"))
    assert (done["images"], done["shape"]) == (2, [18, 16])
    named = read_labels(tmp_path / "one.npy", 3, options=ReadOptions(section="z=0"))
    assert [each.labels.shape for each in named] == [(20, 18)]


def test_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", LABELS[0])
    write(tmp_path / "images", Microstructures(labels=LABELS[0], n_phases=2))
    for text in ("w=3", "z=-1", "z=", "3", "z=1.5", "z=1²"):
        with pytest.raises(InputError, match=f"--section {text}: expected an axis and the number of its voxel"):
            ReadOptions(section=text)
    with pytest.raises(InputError, match="z=16 lies outside a volume of 20 x 18 x 16 voxels; expected 0 to 15"):
        read(tmp_path / "one.npy", section="z=16")
    with pytest.raises(InputError, match="images: --section z=1 cuts volumes; this holds images"):
        read(tmp_path / "images", section="z=1")
    with pytest.raises(InputError, match="leave out --dims 2"):
        ReadOptions(section="z=1", dims=2)
