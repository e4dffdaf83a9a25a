"""Exit codes of a campaign's end."""

from pathlib import Path

import pytest
import typer

from microdesign.cli.design import NOT_MET, exit_by_verdict
from microdesign.design.report.verdict import Verdict
from tests.design.report.examples import campaign_result


def test_nothing_that_meets_the_target_is_said_by_the_exit_code(tmp_path: Path) -> None:
    exit_by_verdict(campaign_result(tmp_path))
    alone = Verdict(kind="not better than the data", sentence="Met by training images alone.")
    exit_by_verdict(campaign_result(tmp_path, candidates=(), verdict=alone))
    missed = Verdict(kind="not met", sentence="Not met.")
    with pytest.raises(typer.Exit) as ended:
        exit_by_verdict(campaign_result(tmp_path, candidates=(), verdict=missed))
    assert ended.value.exit_code == NOT_MET == 3
