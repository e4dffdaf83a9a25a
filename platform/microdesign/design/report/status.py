"""How work that runs elsewhere, was killed or has ended stands, by its folder alone."""

import time
from pathlib import Path

from pydantic import BaseModel

from microdesign.core.config import load_config
from microdesign.core.errors import InputError, StorageError
from microdesign.core.files import lock_folder
from microdesign.core.journal import JOURNAL, JournalStatus, duration, read_journal
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
        best: The target's properties of the best design so far; empty without values.
        best_error: Its error of the worst property; None without values.
        per_minute: Evaluations a minute of the campaign's own time; None before the first answer.
        last_answer: Seconds since the record was last written; None before the first time.
        verdict: Its sentence, of a campaign that has ended.
    """

    state: str
    evaluations: int
    budget: int
    candidates: int
    wanted: int
    best: dict[str, float]
    best_error: float | None
    per_minute: float | None
    last_answer: float | None
    verdict: str = ""

    def __str__(self) -> str:
        parts = [
            f"{self.state}: {self.evaluations} of at most {self.budget} evaluations",
            f"{self.candidates} of {self.wanted} candidates",
            "" if self.best_error is None else f"best {self._best} (error {self.best_error:.2%})",
            "" if self.per_minute is None else f"{self.per_minute:.3g} evaluations a minute{self._left}",
            "" if self.last_answer is None or self.state == "ended" else f"last answer {self.last_answer:.0f} s ago",
        ]
        return "; ".join(part for part in parts if part) + (f"\n{self.verdict}" if self.verdict else "")

    @property
    def _best(self) -> str:
        return ", ".join(f"{name} {value:.4g}" for name, value in self.best.items())

    @property
    def _left(self) -> str:
        """How long the rest of the budget takes at most, of a search that runs."""
        if self.state != "running" or not self.per_minute or self.evaluations >= self.budget:
            return ""
        return f", at most {duration(60 * (self.budget - self.evaluations) / self.per_minute)} left"


class FolderStatus(BaseModel):
    """How the work of a folder stands.

    Attributes:
        work: What its journal says; None of a campaign alone.
        campaign: Its campaign, or the latest within it; None where none has begun.
    """

    work: JournalStatus | None = None
    campaign: CampaignStatus | None = None

    def __str__(self) -> str:
        lines = [] if self.work is None else [str(self.work)]
        if self.campaign is not None:
            lines.append(f"campaign: {self.campaign}" if lines else str(self.campaign))
        return "\n".join(lines)


def folder_status(folder: str | Path) -> FolderStatus:
    """Reads how a campaign, training, sweep, pretraining, labelling, demo or `design --from` stands.

    Raises:
        InputError: The folder holds none of these, or a damaged one.
    """
    folder = Path(folder).resolve()
    if (folder / CONFIG).is_file():
        return FolderStatus(campaign=campaign_status(folder))
    if not (folder / JOURNAL).is_file():
        raise InputError(
            f"{folder}: holds no work that has begun; expected the folder of a campaign, training, sweep, pretraining, "
            "data set being labelled, demo or `design --from`."
        )
    within = max(folder.glob(f"campaign-*/{CONFIG}"), key=lambda path: path.stat().st_mtime, default=None)
    return FolderStatus(work=read_journal(folder), campaign=None if within is None else campaign_status(within.parent))


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
    done = trials.succeeded
    best = done[int(config.target.ranks(progress.verified(done), progress.errors(done)).argmin())] if done else None
    age = max((trial.timings.get("answered_at", 0.0) for trial in evaluations), default=0.0)
    written = max((path.stat().st_mtime for path in (folder / "evaluations").glob("*")), default=None)
    ended = (folder / RESULT).is_file() and read_result(folder).search.designs >= len(evaluations)
    return CampaignStatus(
        state="running" if _is_locked(folder) else "ended" if ended else "stopped",
        evaluations=len(evaluations) * config.images_per_design,
        budget=config.evaluations,
        candidates=len(progress.candidates()),
        wanted=config.candidates,
        best={} if best is None else {name: best.verified[name] for name in config.target.names},
        best_error=None if best is None else float(progress.errors([best])[0]),
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
