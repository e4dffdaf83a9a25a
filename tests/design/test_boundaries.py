"""The boundary of a campaign: that of the training images, or of the model where there are none; designs keep it."""

from pathlib import Path
from typing import Any

import numpy as np

from microdesign.core.config import validate_config
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.report.export import write_design
from microdesign.design.setup import CampaignSetup, open_setup
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.io.readers import read
from microdesign.microstructure.io.writers import write
from microdesign.physics.evaluators.fft import FFTEvaluator
from tests.design.small_model import NETWORK, small_surrogate


def opened(folder: Path, padding: Any = None, **settings: Any) -> tuple[CampaignSetup, list[str]]:
    said: list[str] = []
    values = {"target": {"properties": {"Ex": 3.0}}, "runner": "local", **settings}
    surrogate = small_surrogate(NETWORK.model_copy(update={"padding": padding}))
    config = validate_config(CampaignConfig, values, "the campaign")
    return open_setup(config, folder, "sqlite:///x.db", surrogate, said.append), said


def test_the_boundary_is_that_of_what_was_learned_from(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 2, (3, 32, 32), np.uint8)
    values = {"Ex": np.full(3, 2.0), "kx": np.full(3, 2.0)}
    for periodic in (True, False):
        write(
            tmp_path / str(periodic),
            Microstructures(labels=labels, n_phases=2, properties=values, periodic=periodic),
        )
    for settings, boundary in [
        ({}, "periodic"),
        ({"padding": "zero"}, "mirror"),
        ({"padding": "zero", "evaluator_settings": {"boundary": "periodic"}}, "periodic"),
        ({"evaluator_settings": {"boundary": "mirror"}}, "mirror"),
        ({"padding": "zero", "dataset": str(tmp_path / "True")}, "periodic"),
        ({"dataset": str(tmp_path / "False")}, "mirror"),
    ]:
        setup, said = opened(tmp_path, **settings)
        assert isinstance(setup.image_evaluator, FFTEvaluator)
        assert setup.image_evaluator.boundary == boundary, settings
        assert setup.config.target.periodic is (boundary == "periodic"), settings
        learned_from_scans = settings.get("dataset", "").endswith("False") or (
            settings.get("padding") == "zero" and "dataset" not in settings
        )
        assert any(f"verified with {boundary} boundaries" in line for line in said) is learned_from_scans, settings


def test_a_design_as_a_file_keeps_its_boundary(tmp_path: Path) -> None:
    """So that `homogenize` of the file finds the verified values."""
    for periodic in (True, False):
        path = tmp_path / f"{periodic}.npy"
        write_design(path, np.eye(8, dtype=np.uint8), {"Ex": 2.0}, periodic=periodic)
        assert read(path.with_suffix(".vti")).periodic is periodic
