"""Where a campaign stands, by its folder: while it runs, when it was cut off, and after its end."""

from pathlib import Path

import pytest

from microdesign.core.config import dump_yaml
from microdesign.core.errors import InputError
from microdesign.core.files import write_text
from microdesign.core.journal import journal
from microdesign.core.progress import silent
from microdesign.design.campaign.ask_tell import AskTell
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.campaign.trials import TrialResult
from microdesign.design.report.html import CONFIG, write_report
from microdesign.design.report.status import campaign_status, folder_status
from microdesign.physics.materials import Materials
from microdesign.surrogate.local import LocalSurrogate
from tests.design.report.examples import campaign_result, search


def test_a_campaign_that_runs_is_cut_off_and_ends(
    surrogate: LocalSurrogate, materials: Materials, tmp_path: Path
) -> None:
    folder = tmp_path / "campaign"
    config = CampaignConfig.model_validate(
        {
            "target": {"properties": {"Ex": 3.0, "kx": 3.0}, "tolerance": 0.1},
            "folder": str(folder),
            "evaluations": 9,
            "samples": 16,
            "screened": 4,
            "candidates": 2,
        }
    )
    with AskTell(config, surrogate, materials, "laboratory") as campaign:
        write_text(folder / CONFIG, dump_yaml(config))
        before = campaign_status(folder)
        assert (before.state, before.evaluations, before.best_error) == ("running", 0, None)
        trials = campaign.start(campaign.ask(2))
        campaign.tell([TrialResult(trial.key, {"Ex": 3.06, "kx": 3.0}, seconds=0.1) for trial in trials])
        now = campaign_status(folder)
        assert (now.state, now.evaluations, now.budget, now.wanted) == ("running", 2, 9, 2)
        assert now.best_error == pytest.approx(0.02)
        assert 1 <= now.candidates <= 2
        assert now.per_minute is not None
        assert now.per_minute > 0
        assert "running: 2 of at most 9 evaluations" in str(now)
        assert "best Ex 3.06, kx 3 (error 2.00%)" in str(now)
        assert "at most " in str(now)
    assert campaign_status(folder).state == "stopped"
    write_report(campaign_result(folder, search=search(folder, evaluations=2)))
    ended = campaign_status(folder)
    assert (ended.state, ended.verdict) == ("ended", "Met: 1 distinct design.")
    assert str(ended).endswith("\nMet: 1 distinct design.")


def test_a_folder_without_a_campaign(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no campaign\.yaml; expected the folder of a campaign"):
        campaign_status(tmp_path)
    with pytest.raises(InputError, match=r"holds no work that has begun; expected the folder of a campaign, training"):
        folder_status(tmp_path)


def test_a_campaign_within_other_work(surrogate: LocalSurrogate, materials: Materials, tmp_path: Path) -> None:
    with journal(tmp_path, "demo", silent) as progress:
        progress("design: starts")
        assert str(folder_status(tmp_path)).startswith("demo: running; last: design: starts (0 s ago)")
        folder = tmp_path / "campaign-1"
        config = CampaignConfig.model_validate({"target": {"properties": {"Ex": 3.0}}, "folder": str(folder)})
        with AskTell(config, surrogate, materials, "laboratory"):
            write_text(folder / CONFIG, dump_yaml(config))
            first, second = str(folder_status(tmp_path)).splitlines()
    assert first.startswith("demo: running")
    assert second.startswith("campaign: running: 0 of at most ")
    assert folder_status(tmp_path).work.state == "ended"
    assert folder_status(folder).work is None
