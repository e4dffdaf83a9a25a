"""How a campaign that runs elsewhere, was killed or has ended stands, by its folder alone."""

import time
from pathlib import Path

from pydantic import BaseModel

from microdesign.core.config import load_config
from microdesign.core.errors import InputError, StorageError
from microdesign.core.files import lock_folder
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.campaign.ledger import read_trials
from microdesign.design.campaign.progress import CampaignProgress
from microdesign.design.report.html import CONFIG, RESULT
from microdesign.design.report.result import read_result


class CampaignStatus(BaseModel):
    """Where a campaign stands.

    Attributes:
        state: `running`; `ended`; `stopped`, which the same command goes on with.
        evaluations: Evaluations that physics has answered; in a robust campaign several of each design.
        budget: Evaluations at most.
        candidates: Distinct designs that meet the target so far.
        wanted: How many are asked for.
        best_error: Smallest error of the worst property; None without values.
        per_minute: Evaluations a minute of the campaign's own time; None before the first answer.
        last_answer: Seconds since the record was last written; None before the first time.
        verdict: Its sentence, of a campaign that has ended.
    """

    state: str
    evaluations: int
    budget: int
    candidates: int
    wanted: int
    best_error: float | None
    per_minute: float | None
    last_answer: float | None
    verdict: str = ""

    def __str__(self) -> str:
        parts = [
            f"{self.state}: {self.evaluations} of at most {self.budget} evaluations",
            f"{self.candidates} of {self.wanted} candidates",
            "" if self.best_error is None else f"best error {self.best_error:.2%}",
            "" if self.per_minute is None else f"{self.per_minute:.3g} evaluations a minute",
            "" if self.last_answer is None or self.state == "ended" else f"last answer {self.last_answer:.0f} s ago",
        ]
        return "; ".join(part for part in parts if part) + (f"\n{self.verdict}" if self.verdict else "")


def campaign_status(folder: str | Path) -> CampaignStatus:
    """Reads how a campaign stands; it may be running.

    Raises:
        InputError: The folder holds no campaign, or a damaged one.
    """
    folder = Path(folder).resolve()
    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder}: has no {CONFIG}; expected the folder of a campaign that `design` has begun.")
    config = load_config(CampaignConfig, folder / CONFIG)
    trials, _ = read_trials(str(folder))
    progress, evaluations = CampaignProgress(config, trials), trials.evaluations
    history = progress.history()
    age = max((trial.timings.get("answered_at", 0.0) for trial in evaluations), default=0.0)
    written = max((path.stat().st_mtime for path in (folder / "evaluations").glob("*")), default=None)
    ended = (folder / RESULT).is_file() and read_result(folder).search.designs >= len(evaluations)
    return CampaignStatus(
        state="running" if _is_locked(folder) else "ended" if ended else "stopped",
        evaluations=len(evaluations) * config.images_per_design,
        budget=config.evaluations,
        candidates=len(progress.candidates()),
        wanted=config.candidates,
        best_error=history[-1] if history else None,
        per_minute=60 * len(evaluations) * config.images_per_design / age if age else None,
        last_answer=None if written is None else max(0.0, time.time() - written),
        verdict=read_result(folder).verdict.sentence if ended else "",
    )


def _is_locked(folder: Path) -> bool:
    try:
        lock = lock_folder(str(folder))
    except InputError:
        return True
    except StorageError:  # a folder that one may read alone
        return False
    if lock is not None:
        lock.close()
    return False
