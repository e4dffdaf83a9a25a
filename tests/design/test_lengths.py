"""Constraints on lengths: converted by the model's pixel size, or by that of the campaign."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from microdesign.core.config import validate_config
from microdesign.core.errors import InputError
from microdesign.core.pixels import Pixel
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.setup import CampaignSetup, open_setup
from microdesign.surrogate.local import LocalSurrogate

TARGET = {"properties": {"Ex": 3.0, "kx": 3.0}, "constraints": {"feature_size": {1: {"at_least": "2um"}}}}


def opened(folder: Path, surrogate: LocalSurrogate, **changes: Any) -> CampaignSetup:
    config = validate_config(CampaignConfig, {"target": TARGET, "runner": "local"} | changes, "the campaign")
    return open_setup(config, folder, "sqlite:///x.db", surrogate)


def test_lengths_become_pixels(tmp_path: Path, surrogate: LocalSurrogate) -> None:
    bundle = surrogate.bundle
    measured = replace(
        bundle, description=bundle.description.model_copy(update={"pixel_size": 0.5, "length_unit": "um"})
    )
    of_model = opened(tmp_path, LocalSurrogate(measured)).config
    assert of_model.target.constraints.feature_size[1].width == 4
    assert of_model.pixel == Pixel(0.5, "um")
    # The campaign's own comes first; a configuration that was resolved is resolved again to the same.
    stated = opened(tmp_path, LocalSurrogate(measured), pixel_size="250 nm").config
    assert stated.target.constraints.feature_size[1].width == 8
    assert opened(tmp_path, surrogate, pixel_size="1um").config.target.constraints.feature_size[1].width == 2
    again = stated.model_dump(mode="json", exclude={"target", "runner", "folder"})
    target = stated.target.model_dump(mode="json")
    assert opened(tmp_path, surrogate, **again, target=target).config == stated


def test_lengths_without_a_pixel_size(tmp_path: Path, surrogate: LocalSurrogate) -> None:
    with pytest.raises(InputError, match="at_least 2um is a length, and the size of the model's pixels is not known"):
        opened(tmp_path, surrogate)
    with pytest.raises(InputError, match="phase 1 40 pixels wide do not fit into an image of 32"):
        opened(tmp_path, surrogate, pixel_size="50nm")
    for text in ("0.5", "-1um", "3 GPa"):
        with pytest.raises(InputError, match=f"pixel_size.*{text}"):
            opened(tmp_path, surrogate, pixel_size=text)


def test_pixels_that_are_no_squares(tmp_path: Path, surrogate: LocalSurrogate) -> None:
    """The model's proportions hold, whatever size the campaign states; what is of squares alone is refused."""
    bundle = surrogate.bundle

    def model(**pixel: Any) -> LocalSurrogate:
        description = bundle.description.model_copy(update={"aspect": (1.0, 2.0)} | pixel)
        return LocalSurrogate(replace(bundle, description=description))

    plain = {"properties": {"Ex": 3.0, "kx": 3.0}}
    for stated, pixel in [
        ({}, Pixel(1.0, "", (1.0, 2.0))),
        ({"pixel_size": "0.5um"}, Pixel(0.5, "um", (1.0, 2.0))),
        ({"pixel_size": "0.5,1um"}, Pixel(0.5, "um", (1.0, 2.0))),
    ]:
        setup = opened(tmp_path, model(), target=plain, **stated)
        assert setup.config.pixel == pixel
        assert setup.evaluator.spacing == (1.0, 2.0)
    assert opened(tmp_path, model(pixel_size=0.25, length_unit="nm"), target=plain).config.pixel_size == "0.25,0.5 nm"
    for given, changes, message in [
        (model(), {"pixel_size": "0.5,0.5um"}, "pixel_size = 0.5,0.5um: expected edges as 1 x 2"),
        (surrogate, {"pixel_size": "0.5,1um"}, "pixel_size = 0.5,1um: expected one edge, of squares or cubes"),
        (model(), {"robust": True, "evaluations": 70}, "robust: outlines move by half a pixel"),
        (
            model(),
            {"target": plain | {"constraints": {"feature_size": {1: {"at_least": 3}}}}},
            "feature_size: widths are measured on squares or cubes; the model's pixels are 1 x 2",
        ),
        (
            model(),
            {"target": plain | {"constraints": {"symmetry": {"turn": 0.1}}}},
            "symmetry turn exchanges axes; images of 32 x 32 pixels of 1 x 2 have none",
        ),
    ]:
        with pytest.raises(InputError, match=message):
            opened(tmp_path, given, **{"target": plain} | changes)
