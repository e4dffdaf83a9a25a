"""`import microdesign as md`: quick, complete, every example runs, and the whole way in a few lines."""

import doctest
import importlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import microdesign as md
from microdesign.core.progress import silent
from microdesign.model.bundle import load_bundle, save_bundle
from microdesign.model.pretrained import FOLDER
from microdesign.surrogate.protocol import DrawRequest
from tests.design.small_model import small_surrogate
from tests.mlflow_database import database

LIBRARIES = {"torch", "ray", "mlflow", "botorch", "scipy", "matplotlib", "numba", "numpy", "pandas", "pydantic"}


def run(code: str) -> str:
    """What a process of its own prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_import_brings_no_library() -> None:
    assert run(f"import sys, microdesign; print(sorted({LIBRARIES!r} & set(sys.modules)))") == "[]"


def test_every_public_name_is_there_and_documented() -> None:
    assert set(md.__all__) <= set(dir(md))
    assert {name for name in md.__all__ if name != "__version__"} == set(md._HOMES)
    for name, home in md._HOMES.items():
        module, _, other = home.partition(":")
        found = getattr(md, name)
        assert found.__doc__, name
        assert getattr(importlib.import_module(f"microdesign.{module}"), other or name) is found
    with pytest.raises(AttributeError, match="module 'microdesign' has no attribute 'homogenise'"):
        _ = md.homogenise


def test_design_is_the_function_whatever_was_imported_before() -> None:
    code = "import microdesign.design.target.goal, microdesign as md; print(md.design.__name__); "
    code += "import microdesign.design.setup; print(callable(md.design))"
    assert run(code).split() == ["design", "True"]


def test_the_examples_of_the_public_functions_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that need a model find a small one in `runs/model`."""
    monkeypatch.chdir(tmp_path)
    model = small_surrogate().bundle
    save_bundle("runs/model", model.model, model.description)
    runner, finder = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE), doctest.DocTestFinder()
    for home in sorted({home.partition(":")[0] for home in md._HOMES.values()}):
        module = importlib.import_module(f"microdesign.{home}")
        for example in finder.find(module, module.__name__):
            runner.run(example)
    assert runner.tries > 0
    assert runner.failures == 0


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_the_whole_way_with_pixels_that_are_no_squares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model knows its pixels: draws, designs and their physics are of them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database(tmp_path))
    phases = [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.3, "k": 10}]
    images = replace(md.generate("GRF", 40, (32, 16)), pixel_size=0.5, aspect=(1.0, 2.0), length_unit="um")
    network = {"widths": [8, 8], "latent": 4, "hidden": 16, "decoder": "upsampling"}
    loop = {"batch_size": 8, "model": {"network": network}}
    feedback = {"begin": 0.0, "replay_batch": 4}
    data = md.label(images, phases, "labelled")
    model = md.train(
        data, properties=["ky"], epochs=1, loop=loop, physics_feedback=feedback, tracking={"minimum_r2": None}
    )
    assert md.draw(model, target={"ky": 3.0}, n=2).spacing == (0.5, 1.0)
    budget = {"samples": 16, "screened": 2, "evaluations": 4, "candidates": 1, "robustness": {"draws": 1}}
    target = {"ky": {"at_least": 1.1}}
    result = md.design(model, {"properties": target}, dataset=data, folder="campaign", progress=silent, **budget)
    found = md.homogenize(result.candidates[0].files["vti"], phases)  # the file states its edges
    assert result.candidates[0].verified["ky"] == pytest.approx(found.ky, rel=1e-3)
    assert found.ky != pytest.approx(md.homogenize(result.images[0], phases).ky, rel=1e-3)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_the_whole_way_in_a_few_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training is eight epochs from the pretrained weights: draws for a target follow its properties already."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database(tmp_path))
    phases = [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.3, "k": 10}]
    target = {"Ex": 3.0, "kx": 3.2}
    data = md.label(md.generate("GRF", 96, (32, 32)), phases, "labelled")
    model = md.train(data, properties=list(target), epochs=8, loop={"batch_size": 16}, tracking={"minimum_r2": None})
    assert model.bundle.description.model.network.widths == load_bundle(FOLDER).description.model.network.widths
    soft, stiff = (model.draw(DrawRequest({"Ex": value, "kx": value}, n=24)).mean() for value in (2.0, 5.0))
    assert (
        stiff - soft > 0.06
    )  # of about 0.4, by which the stiff phase's fractions differ; twice the scatter of 24 draws
    budget = {"samples": 64, "screened": 4, "evaluations": 12, "candidates": 1}
    result = md.design(model, {"properties": target, "tolerance": 0.4}, dataset=data, folder="campaign", **budget)

    best = result.candidates[0]
    checked = md.homogenize(result.images[0], phases)
    for name, wanted in target.items():
        assert best.verified[name] == pytest.approx(getattr(checked, name), rel=1e-3)
        assert best.error >= abs(best.verified[name] - wanted) / wanted - 1e-9
    assert result.search.evaluations <= 12
    (bundle,) = Path("runs").glob("*/bundle")
    labels = data.load("test").labels
    for mine, loaded in zip(model.predict(labels), md.load(bundle).predict(labels), strict=True):
        assert mine == pytest.approx(loaded)
