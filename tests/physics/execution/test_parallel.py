"""Ray tasks on a real local Ray."""

import os
import signal

import numpy as np
import pytest
import torch

from microdesign.core.errors import InputError
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.protocol import Values
from microdesign.physics.execution.parallel import evaluate_parallel, evaluate_stream
from microdesign.physics.materials import Materials

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]

MATERIALS = Materials.model_validate({"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.3, "k": 10}]})
IMAGES = np.random.default_rng(0).integers(0, 2, (11, 12, 10)).astype(np.uint8)


def test_order_and_batches() -> None:
    seen: list[int] = []
    values = evaluate_parallel(
        FFTEvaluator(), IMAGES, MATERIALS, batch_size=3, on_batch=lambda indices, _: seen.extend(indices.tolist())
    )
    expected = FFTEvaluator().evaluate(IMAGES, MATERIALS)
    for name, array in expected.items():
        np.testing.assert_array_equal(values[name], array)
    assert sorted(seen) == list(range(11))
    assert not any(values["error"])


def test_one_bad_image_does_not_stop_the_rest() -> None:
    images = IMAGES.copy()
    images[4, 0, 0] = 9
    values = evaluate_parallel(FFTEvaluator(), images, MATERIALS, batch_size=4)
    failed = np.arange(11) == 4
    np.testing.assert_array_equal(np.isnan(values["Ex"]), failed)
    assert "image 0 has label 9" in values["error"][4]
    assert not any(values["error"][~failed])


def test_an_image_that_does_not_converge_is_reported() -> None:
    images = np.zeros_like(IMAGES)
    images[7] = IMAGES[7]
    evaluator = FFTEvaluator(tolerance=1e-9, max_iterations=2)
    values = evaluate_parallel(evaluator, images, MATERIALS, batch_size=6)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(values["Gxy"])), [7])
    assert values["error"][7].startswith("NotConvergedError: 1 of 1 images did not converge in 2 iterations")


def test_an_image_that_kills_its_worker_is_reported() -> None:
    class Deadly:
        fingerprint = "deadly"

        def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
            if (images == 1).all(axis=(1, 2)).any():
                os.kill(os.getpid(), signal.SIGKILL)
            return {"Ex": images.mean(axis=(1, 2))}

    images = np.zeros((4, 6, 6), np.uint8)
    images[2] = 1
    values = evaluate_parallel(Deadly(), images, MATERIALS, batch_size=2)
    np.testing.assert_array_equal(values["Ex"], [0, 0, np.nan, 0])
    assert values["error"][2].startswith("the worker died")
    assert not values["error"][3]


def test_a_closed_stream_leaves_nothing_running() -> None:
    stream = evaluate_stream(FFTEvaluator(), np.tile(IMAGES, (20, 1, 1)), MATERIALS, batch_size=2)
    indices, values = next(stream)
    assert len(indices) == len(values["Ex"]) == 2
    stream.close()
    assert not any(evaluate_parallel(FFTEvaluator(), IMAGES[:2], MATERIALS)["error"])


def test_no_images_is_an_empty_answer() -> None:
    values = evaluate_parallel(FFTEvaluator(), IMAGES[:0], MATERIALS)
    assert len(values["error"]) == 0


def test_bad_arguments() -> None:
    with pytest.raises(InputError, match=r"images have shape \(12, 10\); expected \(images, X, Y\)"):
        evaluate_parallel(FFTEvaluator(), IMAGES[0], MATERIALS)
    with pytest.raises(InputError, match="batch_size = 0"):
        evaluate_parallel(FFTEvaluator(), IMAGES, MATERIALS, batch_size=0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a machine with a GPU has what is asked for")
def test_a_gpu_that_is_not_there() -> None:
    with pytest.raises(InputError, match=r"needs a GPU and the cluster has 0; expected a node with one, or device=cpu"):
        evaluate_parallel(FFTEvaluator(device="cuda"), IMAGES, MATERIALS)
