"""`md.draw` with the model that the package brings."""

from pathlib import Path

import numpy as np
import pytest

import microdesign as md
from microdesign.core.errors import InputError
from microdesign.microstructure.generators.registry import generate


def test_the_pretrained_model_draws_the_material_of_an_image(tmp_path: Path) -> None:
    """Of the same volume fraction, feature size and direction, at other places; from arrays and from files."""
    image = generate("GRF", 8, (64, 64), seed=3).labels
    drawn = md.draw(like=image, n=2, seed=1)
    assert drawn.labels.shape == (16, 64, 64)
    assert drawn.n_phases == 2
    fractions = image.mean((1, 2)).repeat(2)
    assert np.abs(drawn.labels.mean((1, 2)) - fractions).mean() < 0.05
    interface = [(each != np.roll(each, 1, axis)).mean((1, 2)) for each in (image, drawn.labels) for axis in (1, 2)]
    for axis in (0, 1):  # length of interface across each axis: feature size and direction
        assert np.corrcoef(interface[axis].repeat(2), interface[2 + axis])[0, 1] > 0.8
    twins = md.draw(like=np.repeat(image[:1], 2, axis=0), seed=1).labels
    assert (twins[0] != twins[1]).mean() > 0.1  # of one latent or two near ones, each draw has a noise of its own
    md.write(tmp_path / "image.npy", md.Microstructures(labels=image[:1], n_phases=2))
    again = md.draw(like=tmp_path / "image.npy", n=2, seed=1).labels
    assert (again != drawn.labels[:2]).mean() < 0.01  # another batch size rounds otherwise


def test_it_draws_larger_images_than_it_was_shown() -> None:
    image = generate("GRF", 1, (64, 64), seed=3).labels[0]
    assert md.draw(like=image, size=160).labels.shape == (1, 160, 160)


def test_needles_of_twice_the_pixels_are_as_long_and_as_wide() -> None:
    """Each pixel of an image of needles as 2 x 2: draws have as much outline as the image, and no blocks of pixels."""
    image = generate("AngEllipse", 6, (128, 128), seed=3).labels.repeat(2, 1).repeat(2, 2)
    model = md.load("pretrained")
    assert model.describe()["several_resolutions"]
    drawn = md.draw(model, like=image, size=256, seed=1).labels
    outline = [np.stack([(each != np.roll(each, 1, axis)).mean((1, 2)) for axis in (1, 2)]) for each in (image, drawn)]
    assert np.abs(outline[1] / outline[0] - 1).mean() < 0.15
    odd = [(each[:, :, 1::2] != np.roll(each, 1, 2)[:, :, 1::2]).mean() for each in (image, drawn)]
    assert odd[0] == 0  # outlines of the image lie between every second column alone
    assert odd[1] > 0.3 * outline[1][1].mean()


def test_it_knows_no_properties() -> None:
    with pytest.raises(md.InputError, match="The target names Ex; expected none, since the model knows no properties"):
        md.draw(target={"Ex": 3.0})


def test_volumes_like_a_volume(tmp_path: Path) -> None:
    """An array of three similar axes is one volume to a model of volumes, and nothing has to be said."""
    volume = md.generate("Spinodal", 1, (32, 32, 32), seed=3).labels[0]
    np.save(tmp_path / "volume.npy", volume)
    drawn = md.draw("pretrained-volumes", like=tmp_path / "volume.npy", n=2, size=(48, 32, 32), seed=1).labels
    assert drawn.shape == (2, 48, 32, 32)
    assert np.abs(drawn.mean((1, 2, 3)) - volume.mean()).max() < 1e-4
    # Outlines are about as many as the volume's: draws are no noise, and no single blob.
    outline = [np.mean([np.mean(x != np.roll(x, 1, axis)) for axis in range(3)]) for x in (volume, *drawn)]
    assert outline[1:] == pytest.approx(outline[:1] * 2, rel=0.25)
    with pytest.raises(InputError, match="holds one phase alone"):
        md.draw("pretrained-volumes", like=np.zeros((32, 32, 32), np.uint8))
