"""Campaigns beyond square images of two phases: rectangles, volumes, three phases; random models, real physics."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.core.pixels import Pixel
from microdesign.core.progress import silent
from microdesign.design.api import Campaign, design
from microdesign.design.report.result import CampaignResult, read_result
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.drawing import picture
from microdesign.microstructure.generators.registry import generate
from microdesign.microstructure.io.readers import read
from microdesign.model.networks.config import NetworkConfig
from microdesign.physics.labels import label
from microdesign.physics.materials import Materials
from microdesign.physics.solver.homogenization import homogenize
from microdesign.surrogate.local import LocalSurrogate
from tests.design.small_model import MATERIALS, small_surrogate
from tests.mlflow_database import database

SMALL: dict[str, Any] = {"samples": 16, "screened": 3, "evaluations": 5, "candidates": 2, "corrected": 4}
THREE = Materials.model_validate(
    {"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.3, "k": 10}, {"E": 5, "nu": 0.2, "k": 40}]}
)


@pytest.fixture(scope="module")
def volumes() -> LocalSurrogate:
    network = NetworkConfig(size=16, dimensions=3, widths=(4, 8), latent=4, hidden=16, field_channels=2)
    return small_surrogate(network, ("C11", "k33"))


def designed(model: LocalSurrogate, target: Any, folder: Path, **changes: Any) -> CampaignResult:
    uri = database(folder)
    settings = {**SMALL, "refinement": {"pool": 8}, "robustness": {"draws": 1}, "runner_settings": {"workers": 1}}
    return design(model, target, progress=silent, folder=folder / "c", tracking_uri=uri, **settings, **changes)


def test_volumes(volumes: LocalSurrogate, tmp_path: Path) -> None:
    """Goals of tensors and engineering constants of volumes, constraints along z, baselines, files, the report."""
    images = generate("FilteredNoise", 12, (16, 16, 16), seed=1)
    label(images, MATERIALS.model_dump()["phases"], tmp_path / "data")
    target = {
        "properties": {"C11": {"between": [1.4, 13]}, "Ez": {"at_least": 1.2}, "kx/kz": {"maximize": True}},
        "constraints": {"volume_fraction": [0.2, 0.9], "percolates": {1: {"z": True}}},
    }
    result = designed(volumes, target, tmp_path, dataset=tmp_path / "data")
    assert len(result.candidates)
    assert result.images.shape[1:] == (16, 16, 16)
    for candidate, labels in zip(result.candidates, result.images, strict=True):
        found = homogenize(labels, MATERIALS, dims=3, tolerance=1e-6)
        compliance, conductivity = np.linalg.inv(found.stiffness[0]), np.linalg.inv(found.conductivity[0])
        assert candidate.verified["C11"] == pytest.approx(found.stiffness[0, 0, 0], rel=1e-3)
        assert candidate.verified["Ez"] == pytest.approx(1 / compliance[2, 2], rel=1e-3)
        assert candidate.verified["kx/kz"] == pytest.approx(conductivity[2, 2] / conductivity[0, 0], rel=1e-3)
        assert 0.2 <= candidate.constraints["volume_fraction"] <= 0.9
        assert candidate.constraints["percolates_1_z"] == 1
        assert candidate.novelty > 0
        assert candidate.discretization_gap is not None
        np.testing.assert_array_equal(read(candidate.files["vti"]).labels[0], labels)
    assert result.baselines["training_set"] is not None
    page = (tmp_path / "c" / "report.html").read_text()
    assert "Sections through the middle" in page
    rows, columns = picture(result.images[0], scale=1).shape
    assert columns > 4 * rows  # three sections and the view from outside
    assert f"aspect-ratio: {columns} / {rows}" in page
    np.testing.assert_array_equal(read_result(tmp_path / "c").images, result.images)


def test_rectangles(tmp_path: Path) -> None:
    """What is delivered has the model's shape, x first, and its verified values are physics' of that shape."""
    network = NetworkConfig(size=(48, 32), widths=(8, 8), latent=4, hidden=16)
    scan = generate("GRF", 1, (64, 64), seed=3).labels[0]
    windows = np.stack([scan[x : x + 48, y : y + 32] for x in (0, 8, 16) for y in (0, 8, 16, 24)])
    label(Microstructures(labels=windows, n_phases=2), MATERIALS.model_dump()["phases"], tmp_path / "data")
    target = {
        "properties": {"Ex": {"at_least": 1.5}, "kx/ky": {"maximize": True}},
        "constraints": {"percolates": {1: {"x": True}}, "volume_fraction": [0.2, 0.9]},
    }
    result = designed(small_surrogate(network), target, tmp_path, dataset=tmp_path / "data")
    assert len(result.candidates)
    assert result.images.shape[1:] == (48, 32)
    for candidate, labels in zip(result.candidates, result.images, strict=True):
        found = homogenize(labels, MATERIALS, tolerance=1e-6)
        resistivity = np.linalg.inv(found.conductivity[0])
        assert candidate.verified["Ex"] == pytest.approx(1 / np.linalg.inv(found.stiffness[0])[0, 0], rel=1e-3)
        assert candidate.verified["kx/ky"] == pytest.approx(resistivity[1, 1] / resistivity[0, 0], rel=1e-3)
        np.testing.assert_array_equal(read(candidate.files["vti"]).labels[0], labels)
    page = (tmp_path / "c" / "report.html").read_text()
    assert "aspect-ratio: 48 / 32" in page
    wrong = generate("GRF", 4, (32, 32), seed=1)
    label(wrong, MATERIALS.model_dump()["phases"], tmp_path / "squares")
    (tmp_path / "wrong").mkdir()
    with pytest.raises(InputError, match=r"holds images of shape \(32, 32\) in 2 phases, the model makes 48 x 32 in 2"):
        designed(small_surrogate(network), target, tmp_path / "wrong", dataset=tmp_path / "squares")


def test_pixels_that_are_no_squares(tmp_path: Path) -> None:
    """Designs, baselines and a second discretization are of the model's pixels, and the files say so."""
    network = NetworkConfig(size=(32, 16), widths=(8, 8), latent=4, hidden=16)
    images = replace(generate("GRF", 12, (32, 16), seed=3), pixel_size=0.5, aspect=(1.0, 2.0), length_unit="um")
    label(images, MATERIALS.model_dump()["phases"], tmp_path / "data")
    squares = small_surrogate(network)
    pixel = {"pixel_size": 0.5, "aspect": (1.0, 2.0), "length_unit": "um"}
    bundle = replace(squares.bundle, description=squares.bundle.description.model_copy(update=pixel))
    target = {"properties": {"Ex": {"between": [1.2, 9]}, "ky": {"at_least": 1.2}}, "constraints": {}}
    result = designed(LocalSurrogate(bundle), target, tmp_path, dataset=tmp_path / "data")
    assert result.candidates
    for candidate, labels in zip(result.candidates, result.images, strict=True):
        for spacing, agrees in (((0.5, 1.0), True), (None, False)):
            found = homogenize(labels, MATERIALS, spacing=spacing, tolerance=1e-6)
            ky = 1 / float(np.linalg.inv(found.conductivity[0])[1, 1])
            assert (candidate.verified["ky"] == pytest.approx(ky, rel=1e-3)) is agrees
        other = homogenize(labels, MATERIALS, spacing=(1, 2), discretization="rotated", tolerance=1e-6)
        gap = abs(1 / np.linalg.inv(other.conductivity[0])[1, 1] / candidate.verified["ky"] - 1)
        assert candidate.discretization_gap["ky"] == pytest.approx(gap, abs=1e-3)
        assert candidate.manufacturing is None
        assert read(candidate.files["vti"]).spacing == (0.5, 1.0)
    assert read_result(tmp_path / "c").pixel == result.pixel == Pixel(0.5, "um", (1.0, 2.0))
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="data: has pixels of 1 x 2; expected squares or cubes, of which the model is"):
        designed(squares, target, tmp_path / "other", dataset=tmp_path / "data")


def test_three_phases(tmp_path: Path) -> None:
    """Every phase keeps to its fractions, and what is verified is the physics of three phases."""
    network = NetworkConfig(size=32, phases=3, widths=(8, 8), latent=4, hidden=16)
    target = {
        "properties": {"Ex": {"at_least": 1.5}},
        "constraints": {"volume_fraction": {1: [0.2, 0.5], 2: [0.1, 0.5]}, "connected": {2: 0.01}},
    }
    result = designed(small_surrogate(network, materials=THREE), target, tmp_path)
    assert len(result.candidates)
    page = (tmp_path / "c" / "report.html").read_text()
    for candidate, labels in zip(result.candidates, result.images, strict=True):
        shares = np.bincount(labels.ravel(), minlength=3) / labels.size
        assert candidate.constraints["volume_fraction_1"] == pytest.approx(shares[1])
        assert 0.2 <= shares[1] <= 0.5
        assert 0.1 <= shares[2] <= 0.5
        compliance = np.linalg.inv(homogenize(labels, THREE, tolerance=1e-6).stiffness[0])
        assert candidate.verified["Ex"] == pytest.approx(1 / compliance[0, 0], rel=1e-3)
        assert read(candidate.files["vti"]).n_phases == 3
        assert f"{shares[1]:.3g} / {shares[2]:.3g}" in page


def test_what_cannot_be(volumes: LocalSurrogate, tmp_path: Path) -> None:
    for target, message in [
        ({"properties": {"Gyz": 40}}, r"Gyz = 40 is out of reach: .* from 0\.38\d* to 3\.8"),
        ({"properties": {"C11": 3}, "constraints": {"volume_fraction": [0, 0.05]}}, "of phase 1 from 0 to 0.05, these"),
        ({"properties": {"strength": 3}}, "'strength' is no property of volumes"),
        ({"properties": {"C11": 3}, "dims": 2}, r"target\.dims = 2: the model's images have dims = 3"),
        ({"properties": {"C11": 3}, "constraints": {"connected": {2: 0.5}}}, "there is no phase 2"),
    ]:
        with pytest.raises(InputError, match=message):
            designed(volumes, target, tmp_path)


def test_ask_and_tell(volumes: LocalSurrogate, tmp_path: Path) -> None:
    with Campaign(volumes, {"hardness": 3.0}, folder=tmp_path, **SMALL | {"evaluations": 2}) as campaign:
        trials = campaign.ask(2)
        assert trials[0].labels.shape == (16, 16, 16)
        campaign.tell({trial.key: {"hardness": 1 + float(trial.labels.mean())} for trial in trials})
        assert campaign.result().search.evaluations == 2
