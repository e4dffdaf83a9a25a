import numpy as np

from microdesign.design.target.training_images import TrainingImages
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.generators.registry import generate


def test_a_training_image_is_not_new_and_is_realistic() -> None:
    data = generate("Circles", 24, (32, 32))
    flat = Microstructures.concatenate([data, Microstructures(labels=np.zeros((1, 32, 32), np.uint8), n_phases=2)])
    training = TrainingImages(flat)
    shifted = np.roll(data.labels[:5], 7, axis=1)
    assert training.novelty(shifted).max() < 1e-3
    novelty, nearest = training.nearest(shifted)
    assert novelty.max() < 1e-3
    np.testing.assert_array_equal(nearest, data.labels[:5])
    realism = training.realism(shifted)
    assert realism is not None
    assert np.median(realism) < 1
    stripes = (np.arange(32) % 8 < 4).astype(np.uint8)[None, :, None].repeat(32, 2)
    assert training.novelty(stripes)[0] > 1
    assert training.realism(stripes)[0] > 2
    small = Microstructures(labels=data.labels[:1, :16, :16], n_phases=2)
    assert TrainingImages(small).realism(shifted[:, :16, :16]) is None
