"""Settings of a campaign that depend on what it searches."""

from microdesign.design.campaign.campaign_config import SearchConfig


def test_fewer_volumes_are_drawn_unless_it_is_said() -> None:
    assert vars(SearchConfig().effort(2)) == {"samples": 512, "corrected": 64, "pool": 128}
    assert vars(SearchConfig().effort(3)) == {"samples": 128, "corrected": 16, "pool": 48}
    given = SearchConfig.model_validate({"samples": 300, "corrected": 0, "refinement": {"pool": 20}})
    assert vars(given.effort(2)) == vars(given.effort(3)) == {"samples": 300, "corrected": 0, "pool": 20}
