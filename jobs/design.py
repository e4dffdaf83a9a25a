"""Job: run or resume a design campaign. `python -m microdesign.jobs.design CONFIG`."""

from typing import TYPE_CHECKING

from microdesign.core.progress import Progress
from microdesign.jobs.entry import run_job

if TYPE_CHECKING:
    from microdesign.design.campaign.campaign_config import CampaignConfig
    from microdesign.design.report.result import CampaignResult


def run(config: "CampaignConfig", progress: Progress) -> "CampaignResult":
    """Runs the campaign and returns its result."""
    from microdesign.design.campaign.retraining import retrainer
    from microdesign.design.workflow import run_design

    return run_design(config, progress, retrain=retrainer(config, progress))


if __name__ == "__main__":
    run_job("design", run)
