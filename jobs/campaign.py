"""Job: run or resume a design campaign. `python -m jobs.campaign CONFIG`."""

from jobs.entry import run_job
from microdesign.design.campaign_config import CampaignConfig
from microdesign.design.workflow import design
from microdesign.retraining import retrainer

if __name__ == "__main__":
    run_job(CampaignConfig, lambda config, progress: design(config, progress, retrain=retrainer(config, progress)))
