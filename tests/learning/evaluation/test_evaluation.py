"""Metrics and figures of an evaluation, against numbers worked out from its own predictions."""

from pathlib import Path

import numpy as np
import pytest

from microdesign.learning.evaluation.evaluation import Evaluation, complete, evaluate_bundle, summary
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import Dataset, DatasetWriter
from microdesign.microstructure.generators.registry import generate
from microdesign.model.bundle import Bundle, Description, load_bundle, save_bundle
from microdesign.model.model_config import ModelConfig
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.prior.config import PriorConfig
from microdesign.model.standardization import Standardization
from microdesign.model.vae import VAERegression
from microdesign.surrogate.intervals import OUT_OF_DISTRIBUTION, calibrated_prediction
from microdesign.surrogate.local import LocalSurrogate
from tests.cases import case


@pytest.fixture(scope="module")
def evaluation(bundle: Bundle, dataset: Dataset) -> Evaluation:
    return evaluate_bundle(bundle, dataset)


def test_the_intervals_of_an_untrained_model_hold_their_share(bundle: Bundle, evaluation: Evaluation) -> None:
    assert bundle.description.calibration is not None
    assert bundle.description.calibration.level == 0.9
    lower, upper = evaluation.limits["lower"], evaluation.limits["upper"]
    for column, name in enumerate(("Ex", "kx")):
        inside = (lower[:, column] <= evaluation.true[:, column]) & (evaluation.true[:, column] <= upper[:, column])
        assert evaluation.metrics[f"coverage_{name}"] == pytest.approx(inside.mean())
        # Twenty images or so of each split: the share itself has a standard deviation of nearly a tenth.
        assert inside.mean() > 0.65


def test_metrics_are_those_of_the_predictions(evaluation: Evaluation) -> None:
    metrics, true, predicted = evaluation.metrics, evaluation.true, evaluation.predicted
    assert metrics["mape_Ex"] == pytest.approx((np.abs(predicted - true) / true)[:, 0].mean())
    assert metrics["r2_kx"] == pytest.approx(1 - ((predicted - true) ** 2)[:, 1].mean() / true[:, 1].var())
    fractions = [images.labels.mean((1, 2)) for images in (evaluation.data, evaluation.reconstructions)]
    error = np.abs(fractions[0] - fractions[1]).mean()
    assert metrics["reconstruction_volume_fraction_error"] == pytest.approx(error, abs=1e-6)
    assert metrics["reconstruction_excess_cess_median"] > 0
    assert 0 <= metrics["component_class_mutual_information"] <= 1
    assert 0 <= metrics["responsibility_entropy"] <= np.log(3) + 1e-6
    assert sum(metrics[f"prior_weight_{k}"] for k in range(3)) == pytest.approx(1, abs=1e-5)
    assert metrics["inverse_error_predicted"] == pytest.approx(np.median(evaluation.inverse))
    assert "R2" in summary(metrics, ("Ex", "kx"))
    assert "excess CESS" in summary(metrics, ())


def test_every_figure_is_drawn(evaluation: Evaluation, tmp_path: Path) -> None:
    figures = evaluation.figures()
    expected = {"parity", "calibration", "reconstructions", "components", "component_use", "latent"}
    assert set(figures) == expected
    for name, figure in figures.items():
        figure.savefig(tmp_path / f"{name}.png", dpi=40)
    # A row of draws for each component; the map coloured by a property, by component and by class.
    assert len(figures["components"].axes) == 3 * 6
    titles = [axes.get_title() for axes in figures["latent"].axes if axes.get_title()]
    assert titles == ["Ex", "component", "class"]


def test_a_bundle_keeps_calibration_and_reference_set(bundle: Bundle, evaluation: Evaluation, tmp_path: Path) -> None:
    save_bundle(tmp_path, bundle.model, bundle.description, bundle.reference_set)
    assert (tmp_path / "reference_set.safetensors").stat().st_size < 1e6
    found = calibrated_prediction(LocalSurrogate(load_bundle(tmp_path)), evaluation.data.labels)
    assert set(found) == {"mean", "std", "lower", "upper", "out_of_distribution"}
    assert found["lower"] == pytest.approx(evaluation.limits["lower"], rel=1e-5)
    assert np.array_equal(found["out_of_distribution"], evaluation.limits["out_of_distribution"])
    assert (found["lower"] < found["mean"]).all()
    assert (found["mean"] < found["upper"]).all()


def test_images_of_another_kind_are_out_of_distribution(bundle: Bundle, evaluation: Evaluation) -> None:
    stripes = (np.indices((4, 32, 32))[1] // 4 % 2).astype(np.uint8)
    assert (calibrated_prediction(LocalSurrogate(bundle), stripes)["out_of_distribution"] > OUT_OF_DISTRIBUTION).all()
    assert (evaluation.limits["out_of_distribution"] > OUT_OF_DISTRIBUTION).mean() < 0.3
    # Posterior means lie where the training images' posteriors have most of their density.
    assert evaluation.metrics["share_latent_out_of_distribution"] < 0.3


def test_a_model_without_calibration_gives_its_own_spread(bundle: Bundle, dataset: Dataset) -> None:
    bare = Bundle(bundle.model, bundle.description.model_copy(update={"calibration": None}))
    found = evaluate_bundle(bare, dataset)
    assert not found.limits
    assert not {"coverage_Ex", "share_out_of_distribution", "share_latent_out_of_distribution"} & set(found.metrics)
    assert "calibration" in found.figures()
    assert set(calibrated_prediction(LocalSurrogate(bare), found.data.labels[:0])) == {"mean", "std"}


def test_every_kind_of_model_is_evaluated(tmp_path: Path) -> None:
    for family, dims, phases, changes, properties in [
        ("FilteredNoise", 3, 2, {}, ("Ex",)),
        ("Polycrystal", 2, 3, {}, ("Ex",)),
        ("GRF", 2, 2, {"latent_kind": "spatial", "decoder": "upsampling", "latent": 2}, ()),
        ("Polycrystal", 3, 3, {"decoder": "upsampling"}, ()),
    ]:
        with case(family=family, dims=dims, phases=phases, changes=changes, properties=properties):
            images = generate(family, 60, (16,) * dims, n_phases=phases)
            values = {name: 1 + images.labels.reshape(60, -1).mean(1) for name in properties}
            writer = DatasetWriter(tmp_path / f"{family}-{dims}", settings={})
            writer.write_shard(
                family,
                Microstructures(labels=images.labels, n_phases=phases, classes=(family,) * 60, properties=values),
            )
            data = writer.finish()
            network = NetworkConfig(
                **{"size": 16, "dimensions": dims, "phases": phases, "widths": (8, 8), "latent": 4, "hidden": 16}
                | changes
            )
            prior = PriorConfig(kind="mixture" if properties else "standard", components=2, hidden=8)
            config, n = ModelConfig(network=network, prior=prior), len(properties)
            standardization = Standardization(names=properties, units=("",) * n, offsets=(0.4,) * n, scales=(0.2,) * n)
            description = Description(model=config, standardization=standardization)
            found = evaluate_bundle(complete(Bundle(VAERegression(config, n).eval(), description), data), data)
            assert all(np.isfinite(value) for value in found.metrics.values())
            assert found.metrics["reconstruction_excess_cess_median"] > 0
            assert ("coverage_Ex" in found.metrics) == bool(properties)
            assert found.reconstructions.labels.shape == found.data.labels.shape
            assert int(found.reconstructions.labels.max()) < phases
            figures = found.figures()
            assert ("parity" in figures) == bool(properties)
            for figure in figures.values():
                figure.savefig(tmp_path / "figure.png", dpi=30)
