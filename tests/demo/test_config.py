"""The settings of the demo: what is left out, of images and of volumes, and what cannot be."""

import pytest

from microdesign.core.config import load_config
from microdesign.core.errors import InputError
from microdesign.demo.config import DemoConfig
from microdesign.demo.run import check_demo


def test_a_section_given_in_part_keeps_the_demo_s_other_settings() -> None:
    for dims in (2, 3):
        whole = load_config(DemoConfig, None, [f"dims={dims}"])
        part = load_config(DemoConfig, None, [f"dims={dims}", "loop.max_minutes=1", "campaign.seed=5"])
        assert part.loop == whole.loop.model_copy(update={"max_minutes": 1.0})
        assert part.campaign == whole.campaign.model_copy(update={"seed": 5})
        assert part.generate == whole.generate
        assert DemoConfig.model_validate(whole.model_dump(mode="json")) == whole
    assert load_config(DemoConfig) == load_config(DemoConfig, None, ["dims=2"]) == DemoConfig()


def test_volumes_have_a_network_families_and_a_target_of_their_own(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(str(tmp_path))
    volumes = load_config(DemoConfig, None, ["dims=3"])
    assert (volumes.generate.dims, volumes.loop.model.network.shape) == (3, (32, 32, 32))
    assert volumes.folder != DemoConfig().folder
    assert check_demo(volumes).dims == 3
    assert set(check_demo(load_config(DemoConfig, None, ["dims=3", "target={Ez: 3, Gyz: 1}"])).names) == {"Ez", "Gyz"}
    with pytest.raises(InputError, match="'Ez' is no property"):
        check_demo(load_config(DemoConfig, None, ["target={Ez: 3}"]))


def test_settings_that_cannot_be() -> None:
    for overrides, message in [
        (["dims=4"], "'dims' = 4"),
        (["generate.size=32"], "size of generate is 32, of loop.model.network 64"),
        (["dims=3", "generate.size=16"], "size of generate is 16, of loop.model.network 32"),
        (["generate.dims=3", "generate.families=[GRF]"], "dimensions of generate is 3, of loop.model.network 2"),
        (
            ["generate.dims=3", "generate.families=[GRF]", "loop.model.network.dimensions=3"],
            "set dims, which gives volumes their defaults",
        ),
    ]:
        with pytest.raises(InputError, match=message):
            load_config(DemoConfig, None, overrides)
