import json
from pathlib import Path

import numpy as np
import pytest
import torch

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.generators.registry import generate
from microdesign.microstructure.io.formats.npy import write_npy
from microdesign.microstructure.io.options import ReadOptions
from microdesign.microstructure.statistics.characterization import characterize, characterize_files
from microdesign.microstructure.statistics.table import statistics, statistics_table
from microdesign.microstructure.statistics.two_point import two_point


def test_stripes_of_three_phases() -> None:
    labels = np.repeat([0, 0, 0, 1, 1, 2], 2)[None, :, None].repeat(12, axis=2)
    (entry,) = characterize(Microstructures(labels=labels, n_phases=4, pixel_size=0.5))
    assert entry["volume_fractions"] == pytest.approx([1 / 2, 1 / 3, 1 / 6, 0])
    assert entry["specific_surface"] == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])
    assert entry["mean_chord"] == [[3, None], [2, None], [1, None], [None, None]]
    assert entry["minimum_feature_size"] == entry["feature_size"] == [3, 2, 1, None]
    assert entry["percolates"] == entry["spans"] == [[False, True]] * 3 + [[False, False]]
    assert entry["clusters"] == [1, 1, 1, 0]
    assert entry["largest_cluster"] == [1, 1, 1, None]
    assert entry["corner_contacts"] == [0, 0, 0, 0]
    assert entry["anisotropy"] == pytest.approx([1, 1, 1, 0])
    assert entry["chords"][1] == [[0, 0, 0, 0, 12], []]
    assert entry["two_point_radius"][:1] == [0]
    assert entry["two_point_radius"][-1] == pytest.approx(3, abs=0.2)
    assert [values[0] for values in entry["two_point"]] == pytest.approx(entry["volume_fractions"])
    json.dumps(entry, allow_nan=False)


def test_images_that_are_not_periodic_are_not_joined() -> None:
    labels = np.zeros((1, 8, 8), dtype=np.uint8)
    labels[0, [0, 7]] = 1
    for periodic, pieces in ((True, [1, 1]), (False, [1, 2])):
        (entry,) = characterize(Microstructures(labels=labels, n_phases=2, periodic=periodic))
        assert entry["clusters"] == pieces


def test_volumes() -> None:
    labels = np.zeros((2, 6, 5, 4), dtype=np.uint8)
    labels[0, 1:4, :, 1:3] = 1
    labels[1, 0, 0, 0] = 1
    entries = characterize(Microstructures(labels=labels, n_phases=2))
    assert entries[0]["percolates"][1] == [False, True, False]
    assert entries[0]["mean_chord"][1] == [3, None, 2]
    assert [entry["minimum_feature_size"][1] for entry in entries] == [2, 1]


def test_files(tmp_path) -> None:
    batch = generate("VoronoiMedium", 3, (32, 32))
    write_npy(tmp_path / "stack.npy", batch)
    write_npy(tmp_path / "one.npy", batch.select([1]))
    rows = characterize_files([tmp_path / "stack.npy", tmp_path / "one.npy"], tmp_path / "f.npy")
    assert [row["image"].rsplit("/")[-1] for row in rows] == ["stack.npy[0]", "stack.npy[1]", "stack.npy[2]", "one.npy"]
    assert {**rows[1], "image": ""} == {**rows[3], "image": ""}
    f = torch.from_numpy(np.load(tmp_path / "f.npy"))
    assert f.shape == (4, 2, 32, 32)
    torch.testing.assert_close(f[:3, 1:], two_point(batch.indicator()))


def test_lengths_are_in_the_unit_of_the_pixels(tmp_path: Path) -> None:
    labels = np.repeat([0, 1], 4)[:, None].repeat(8, axis=1).astype(np.uint8)
    np.save(tmp_path / "a.npy", labels)
    (entry,) = characterize_files([tmp_path / "a.npy"], options=ReadOptions(pixel_size="0.5um"))
    assert (entry["length_unit"], entry["feature_size"], entry["specific_surface"]) == ("um", [2, 2], [0.5, 0.5])
    # Bricks: lengths along axes are known, distances in all directions are not.
    (brick,) = characterize_files([tmp_path / "a.npy"], options=ReadOptions(pixel_size="0.5,2um"))
    assert (brick["mean_chord"], brick["specific_surface"]) == ([[2, None]] * 2, [0.5, 0.5])
    for name in ("feature_size", "minimum_feature_size", "anisotropy"):
        assert brick[name] == [None, None], name
    json.dumps(brick, allow_nan=False)
    titles, lines = statistics_table([{"image": "a", **entry}])
    assert titles[3:8] == ["surface / 1/µm", "anisotropy", "chord x / µm", "chord y / µm", "min. feature / µm"]
    assert lines[0][5] == "2"
    table = statistics(Microstructures(labels=labels[None], n_phases=2, pixel_size=0.5, length_unit="um"))
    assert table.attrs["length_unit"] == "um"
    assert "length_unit" not in table
    with pytest.raises(InputError, match="the images are in pixels and um; expected one unit"):
        statistics_table([{"image": "a", **entry}, {"image": "b", **entry, "length_unit": ""}])
