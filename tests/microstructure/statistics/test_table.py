from pathlib import Path

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.generators.registry import generate
from microdesign.microstructure.io.formats.npy import write_npy
from microdesign.microstructure.statistics.characterization import characterize
from microdesign.microstructure.statistics.table import statistics, statistics_table


def test_a_row_for_each_phase_of_each_image() -> None:
    batch = Microstructures(labels=np.repeat([0, 0, 0, 1, 1, 2], 2)[None, :, None].repeat(12, 2), n_phases=4)
    table = statistics(batch)
    assert table.index.tolist() == [(0, phase) for phase in range(4)]
    assert table["volume_fraction"].tolist() == pytest.approx([1 / 2, 1 / 3, 1 / 6, 0])
    assert table["mean_chord_x"].tolist() == pytest.approx([6, 4, 2, np.nan], nan_ok=True)
    # Stripes have no end along themselves.
    assert table["mean_chord_y"].isna().all()
    assert table["percolates_y"].tolist() == [True, True, True, False]
    assert "mean_chord_z" not in table
    assert "<table" in table._repr_html_()


def test_arrays_and_files_give_the_same(tmp_path: Path) -> None:
    batch = generate("VoronoiMedium", 3, (32, 32))
    write_npy(tmp_path / "three.npy", batch)
    write_npy(tmp_path / "one.npy", batch.select([1]))
    expected = statistics(batch)
    assert statistics(batch.labels).equals(expected)
    assert np.array_equal(statistics(tmp_path / "three.npy").to_numpy(), expected.to_numpy())
    both = statistics([tmp_path / "three.npy", tmp_path / "one.npy"])
    assert both.index[-1] == (str(tmp_path / "one.npy"), 1)
    assert both.iloc[-1].equals(expected.loc[(1, 1)].rename(both.index[-1]))
    assert statistics(batch.labels[1]).loc[(0, 1)].tolist() == expected.loc[(1, 1)].tolist()
    volumes = generate("GRF", 2, (16, 16, 16))
    assert {"mean_chord_z", "spans_z"} <= set(statistics(volumes.labels).columns)


def test_the_table_for_people() -> None:
    batch = generate("GRF", 2, (16, 16))
    entries = [{"image": f"{i}", **entry} for i, entry in enumerate(characterize(batch))]
    titles, lines = statistics_table(entries)
    assert [len(line) for line in lines] == [len(titles)] * 4
    assert [line[0] for line in lines] == ["0", "", "1", ""]
    assert [float(line[titles.index("fraction")]) for line in lines] == pytest.approx(
        batch.volume_fractions.ravel(), abs=1e-4
    )


def test_refuses() -> None:
    for images, message in [
        (np.zeros(4, int), r"the images have shape \(4,\); expected \(X, Y\), \(n, X, Y\)"),
        (np.full((4, 4), 0.5), "the images: holds 0.5 at index .*; threshold a grey image first"),
        ("absent.npy", r"absent\.npy: does not exist"),
    ]:
        with pytest.raises(InputError, match=message):
            statistics(images)
