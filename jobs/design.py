"""Job: run or resume a design campaign. `python -m microdesign.jobs.campaign CONFIG`."""

from microdesign.jobs.entry import run_job

from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.campaign.retraining import retrainer
from microdesign.design.workflow import run_design

if __name__ == "__main__":
    run_job(CampaignConfig, lambda config, progress: run_design(config, progress, retrain=retrainer(config, progress)))
