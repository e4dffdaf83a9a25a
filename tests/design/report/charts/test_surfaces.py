"""Surfaces that can be turned: what Plotly is told is the surface."""

import base64
import json

import numpy as np
import pytest

from microdesign.design.report.charts.surfaces import runtime, surface_figure
from microdesign.export.surface import enclosed_volume


def unpacked(mesh: dict, names: str) -> np.ndarray:
    columns = [np.frombuffer(base64.b64decode(mesh[each]["bdata"]), "<" + mesh[each]["dtype"]) for each in names]
    return np.stack(columns, axis=1)


def test_surfaces_enclose_their_phases() -> None:
    """By the divergence theorem the triangles enclose the volume of the phase's voxels, in units of length."""
    axes = np.indices((20, 16, 16))
    labels = np.zeros((20, 16, 16), np.uint8)
    labels[((axes - 6) ** 2).sum(0) < 20] = 1
    labels[axes[0] > 14] = 2
    figure = json.loads(json.dumps(surface_figure(labels, 4, True, (0.5, 0.5, 2.0), "um")))
    assert [mesh["name"] for mesh in figure["data"]] == ["phase 1", "phase 2"]  # there is no voxel of phase 3
    for phase, mesh in enumerate(figure["data"], start=1):
        volume = enclosed_volume(unpacked(mesh, "xyz").astype(float), unpacked(mesh, "ijk"))
        assert volume == pytest.approx((labels == phase).sum() * 0.5 * 0.5 * 2.0, rel=0.05)
    scene = figure["layout"]["scene"]
    assert [scene[f"{name}axis"]["range"] for name in "xyz"] == [[0, 10], [0, 8], [0, 32]]
    assert scene["zaxis"]["title"]["text"] == "z [um]"


def test_single_voxels_have_a_surface_too() -> None:
    labels = np.zeros((12, 12, 12), np.uint8)
    labels[::4, ::4, ::4] = 1
    (mesh,) = surface_figure(labels, 2, True)["data"]
    cells = np.unique(unpacked(mesh, "xyz").astype(int) // 4, axis=0)
    assert len(cells) >= 27  # each of the voxels, which are four apart
    for rest in (1, 12**3 - 1):  # a voxel alone, and one that is lacking
        labels = np.arange(12**3).reshape(12, 12, 12) < rest
        assert surface_figure(labels.astype(np.uint8), 2, False)["data"][0]["name"] == "phase 1"


def test_large_volumes_are_shown_at_fewer_voxels() -> None:
    labels = np.zeros((130, 16, 16), np.uint8)
    labels[:65] = 1
    (mesh,) = surface_figure(labels, 2, False)["data"]
    points = unpacked(mesh, "xyz")
    assert points[:, 0].max() == pytest.approx(65, abs=3)
    assert len(points) < 2000


def test_the_runtime_ends_no_script_element() -> None:
    assert "Plotly" in runtime()
    assert "</script" not in runtime()
