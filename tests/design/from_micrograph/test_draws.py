"""Draws over the range of windows: latents beyond them, periodic images of two phases, shards that are kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import microdesign as md
from microdesign.core.progress import Recorded, silent
from microdesign.design.from_micrograph.config import MicrographConfig
from microdesign.design.from_micrograph.draws import draw_dataset, encode_windows
from microdesign.design.from_micrograph.latents import BEYOND, spread_latents
from microdesign.design.from_micrograph.likeness import likeness_limit
from microdesign.design.from_micrograph.micrograph import read_micrograph
from microdesign.design.from_micrograph.settings import fine_tuning
from microdesign.design.from_micrograph.windows import write_micrograph
from microdesign.learning.pretraining.loop import initial_model
from microdesign.microstructure.data.dataset import Dataset
from microdesign.microstructure.io.options import ReadOptions
from microdesign.model.bundle import Bundle, Description
from microdesign.model.model_config import ModelConfig
from microdesign.model.pretrained import start_bundle
from microdesign.model.prior.config import STANDARD, PriorConfig
from microdesign.model.standardization import Standardization
from microdesign.model.vae import VAERegression
from microdesign.surrogate.local import LocalSurrogate


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return of_phases(2)


def of_phases(phases: int, dimensions: int = 2) -> Bundle:
    torch.manual_seed(0)
    network = {"size": 32, "phases": phases, "widths": [8, 8], "latent": 4, "hidden": 16, "decoder": "local_global"}
    network |= {"dimensions": dimensions, "denoiser": {"width": 8, "depth": 1, "steps": 2}}
    config = ModelConfig.model_validate({"network": network, "prior": PriorConfig(kind=STANDARD)})
    nothing = Standardization(names=(), units=(), offsets=(), scales=())
    description = Description(model=config, standardization=nothing, weights="some weights")
    return Bundle(VAERegression(config, 0).eval(), description)


def test_latents_lie_on_lines_through_windows() -> None:
    mean = np.array([[0.0, 0.0], [1.0, 2.0]])
    z = spread_latents(mean, np.zeros((2, 2)), 4000, np.random.default_rng(0))
    assert z[:, 1] == pytest.approx(2 * z[:, 0])
    assert -BEYOND <= z[:, 0].min() < 0.95 * -BEYOND
    assert 0.95 * (1 + BEYOND) < z[:, 0].max() <= 1 + BEYOND
    # Of a single window what is left is its posterior's scatter.
    alone = spread_latents(mean[:1], np.full((1, 2), 0.5), 4000, np.random.default_rng(0))
    assert alone.std(0) == pytest.approx([0.5, 0.5], rel=0.05)


def test_windows_are_encoded_without_their_seams(bundle: Bundle) -> None:
    windows = md.generate("GRF", 3, (32, 32)).labels
    surrogate = LocalSurrogate(bundle)
    whole = surrogate.encode(windows)[0]
    assert not np.allclose(encode_windows(surrogate, windows)[0], whole)
    assert surrogate.encode(windows)[0] == pytest.approx(whole)  # and the model sees periodic images again


def test_three_phases(tmp_path: Path) -> None:
    """Draws have all phases of the micrograph, and their likeness is that of three."""
    np.save(tmp_path / "a.npy", md.generate("Polycrystal", 1, (96, 96), seed=2, n_phases=3).labels[0])
    material = write_micrograph(read_micrograph(tmp_path / "a.npy", 32), tmp_path / "windows", False, silent)
    assert material.phases == 3
    made = of_phases(3)
    drawn = draw_dataset(made, material.windows, tmp_path / "drawn", 40, 0).load()
    assert drawn.n_phases == 3
    assert set(np.unique(drawn.labels)) == {0, 1, 2}
    given = {"micrograph": "a.npy", "materials": {"phases": [{"k": 1}, {"k": 2}, {"k": 3}]}, "target": {"kx": 1.5}}
    found = likeness_limit(MicrographConfig.model_validate(given), material, Dataset.open(tmp_path / "drawn"), silent)
    assert found is not None
    assert found >= 1


def test_volumes(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", md.generate("Spinodal", 1, (48, 48, 64), seed=2).labels[0])
    micrograph = read_micrograph(tmp_path / "a.npy", options=ReadOptions(dims=3))
    progress = Recorded()
    material = write_micrograph(micrograph, tmp_path / "windows", True, progress)
    assert (material.dims, material.turns) == (3, True)
    assert "windows of 32 x 32 x 32 voxels" in progress.texts[0]
    drawn = draw_dataset(of_phases(2, dimensions=3), material.windows, tmp_path / "drawn", 3, 0).load().labels
    assert drawn.shape == (3, 32, 32, 32)
    given = {"micrograph": "a.npy", "materials": {"phases": [{"k": 1}, {"k": 2}]}, "target": {"kz": 1.5}}
    settings = fine_tuning(MicrographConfig.model_validate(given), material, tmp_path)
    assert settings.start == "pretrained-volumes"
    before, after = start_bundle(settings.start).model, initial_model(settings)
    assert torch.equal(before.decoder.denoiser.first.weight, after.decoder.denoiser.first.weight)
    # Volumes of more phases begin by what those weights know, too.
    assert initial_model(fine_tuning(MicrographConfig.model_validate(given), replace(material, phases=3), tmp_path))


def test_designs_are_held_to_what_draws_can_be(bundle: Bundle, tmp_path: Path) -> None:
    stripes = np.arange(96) % 12 < 6
    flipped = np.random.default_rng(0).random((96, 96)) < 0.01
    np.save(tmp_path / "a.npy", stripes ^ flipped)
    given = {
        "micrograph": str(tmp_path / "a.npy"),
        "materials": {"phases": [{"k": 1}, {"k": 2}]},
        "target": {"kx": 1.5},
    }
    micrograph = read_micrograph(tmp_path / "a.npy", 32)
    material = write_micrograph(micrograph, tmp_path / "windows", False, silent)
    drawn = draw_dataset(bundle, material.windows, tmp_path / "drawn", 40, 0)
    progress = Recorded()
    for within, expected in ((1.5, 1.5), (None, None), ("auto", None)):
        config = MicrographConfig.model_validate(given | {"within": within})
        found = likeness_limit(config, material, drawn, progress)
        if within == "auto":  # an untrained model draws no stripes
            assert found is not None
            assert found > 1
            assert "looser than the windows" in progress.texts[-1]
        else:
            assert found == expected


def test_draws_are_of_two_phases_and_kept(bundle: Bundle, tmp_path: Path) -> None:
    windows = md.generate("GRF", 6, (32, 32)).labels
    made = draw_dataset(bundle, windows, tmp_path / "draws", 70, 0)
    assert len(made) == 70
    assert made.manifest.periodic
    labels = made.load().labels
    assert (np.ptp(labels, axis=(1, 2)) == 1).all()
    assert len(np.unique(labels, axis=0)) > 60
    # A shard that is lost is drawn again as it was; the other one is not touched.
    kept, lost = sorted((tmp_path / "draws").glob("*.parquet"))
    time, content = kept.stat().st_mtime_ns, lost.read_bytes()
    lost.unlink()
    assert draw_dataset(bundle, windows, tmp_path / "draws", 70, 0).manifest == made.manifest
    assert kept.stat().st_mtime_ns == time
    assert lost.read_bytes() == content
