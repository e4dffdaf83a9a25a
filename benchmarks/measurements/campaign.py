"""Searches for targets and optima, and their evaluations, for `benchmarks/campaign.py`."""

import argparse
import contextlib
import json
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from measurements.harder_targets import target_set
from peers.searches import SEARCHES, Problem, SpentError

from microdesign.design.campaign.ask_tell import AskTell
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.campaign.engine import run_campaign
from microdesign.design.campaign.trials import TrialResult
from microdesign.design.search.conditioning import admitted
from microdesign.design.search.conditioning import best_known as images_to_start_from
from microdesign.design.target.target import Target
from microdesign.microstructure.data.dataset import Dataset
from microdesign.model.bundle import load_bundle
from microdesign.model.networks.config import described_shape
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.protocol import Values, evaluate_each
from microdesign.physics.materials import Materials
from microdesign.surrogate.coarse_grid import CoarseGrid, settled_factor
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.material_transfer import MaterialTransfer
from microdesign.surrogate.protocol import Surrogate

ENOUGH = 0.02
OURS = "this campaign"
OPTIMA: dict[str, dict[str, Any]] = {
    "max kx/ky": {"properties": {"kx/ky": {"maximize": True}}},
    "max Ex, fraction <= 0.3": {
        "properties": {"Ex": {"maximize": True}},
        "constraints": {"volume_fraction": [0.0, 0.3]},
    },
}


def bound(name: str, materials: Materials) -> float:
    """The laminate's value, which no microstructure exceeds: Voigt over Reuss, and Voigt at a fraction of 0.3."""
    soft, hard = (phase.k for phase in materials.phases)
    if name == "max kx/ky":
        f = np.linspace(0, 1, 1001)
        return float(((f * hard + (1 - f) * soft) * (f / hard + (1 - f) / soft)).max())
    return 0.3 * float(materials.phases[1].E) + 0.7 * float(materials.phases[0].E)


def campaign(problem: Problem, seed: int, batch: int, designs: int, table: dict[str, np.ndarray]) -> int:
    """Runs ours on a problem; returns the number of distinct designs."""
    with tempfile.TemporaryDirectory() as folder:
        optimum = bool(problem.target.senses.any())
        config = CampaignConfig(
            target=problem.target,
            folder=folder,
            seed=seed,
            candidates=designs,
            goal=ENOUGH,
            evaluations=max(2, problem.budget),
            patience=10_000,
        )
        known_images = images_to_start_from(problem.target, problem.training)
        fingerprint = problem.evaluator.fingerprint
        search = AskTell(config, problem.model, problem.materials, fingerprint, table, known_images=known_images)
        while not search.reason_to_stop():
            trials = search.ask(batch)
            if not trials:
                break
            labels = np.stack([trial.labels for trial in trials])
            values = evaluate_each(problem.evaluator, labels, problem.materials)
            errors = values.pop("error")
            search.tell(
                [
                    TrialResult(trial.key, {n: float(a[i]) for n, a in values.items()}, str(errors[i]))
                    for i, trial in enumerate(trials)
                ]
            )
        done = search.ledger.succeeded
        verified = np.array([[trial.verified[name] for name in problem.target.names] for trial in done])
        problem.costs += problem.cost(np.stack([trial.labels for trial in done]), verified).tolist()
        return 0 if optimum else len(search.candidates())


def run(name: str, problem: Problem, seed: int, batch: int, wanted: int) -> dict[str, Any]:
    """Runs one search on one problem."""
    started, designs = time.process_time(), 0
    if name == OURS:
        rows = admitted(problem.target, problem.training.labels)
        table = {name: values[rows] for name, values in problem.training.properties.items()}
        designs = campaign(problem, seed, batch, wanted, table)
    else:
        with contextlib.suppress(SpentError):
            SEARCHES[name](problem, seed)
    costs = np.minimum.accumulate(problem.costs)
    hit = np.flatnonzero(costs <= problem.enough)
    return {
        "evaluations": int(hit[0]) + 1 if len(hit) else problem.budget + 1,
        "solved": bool(len(hit)),
        "designs": designs,
        "best": float(costs[-1]),
        "history": [round(float(cost), 5) for cost in costs],
        "seconds": round(time.process_time() - started, 1),
    }


class Uneven(FFTEvaluator):
    """Physics of 0.3 to 3 s, by the image."""

    def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
        values = super().evaluate(images, materials)
        time.sleep(0.3 + 2.7 * (int(images.sum()) % 101) / 100)
        return values


def print_utilisation(
    model: Surrogate, target: Target, materials: Materials, table: dict[str, np.ndarray], workers: int, n: int
) -> None:
    """Runs a campaign on Ray to the end of its budget and prints how busy its workers were."""
    ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder:
        config = CampaignConfig(target=target, folder=folder, evaluations=n, patience=n, goal=1e-9)
        started = time.monotonic()
        answer = run_campaign(config, model, Uneven(), materials, table=table)
        seconds = time.monotonic() - started
    ray.shutdown()
    proposing, physics = (
        sum(trial.timings[name] for trial in answer.evaluations) for name in ("proposing", "evaluating")
    )
    print(
        f"\nUtilisation of {workers} workers: {answer.utilization:.0%} over {len(answer.evaluations)} evaluations of "
        f"0.3 to 3 s; {seconds:.0f} s, {proposing:.0f} s of proposing beside {physics:.0f} s of physics"
    )


def print_tables(settings: argparse.Namespace) -> None:
    """Runs what is not recorded yet, and prints the tables."""
    torch.set_num_threads(1)
    data = Dataset.open(settings.dataset)
    folder = Path(settings.out)
    folder.mkdir(parents=True, exist_ok=True)
    asked_for = tuple(settings.properties or LocalSurrogate(load_bundle(settings.model)).properties)
    asked = target_set(
        settings.kind,
        settings.targets,
        data.load("train"),
        held_out := data.load("test"),
        Materials.model_validate(data.manifest.materials),
        asked_for,
        settings.labels,
        folder,
    )
    materials, training = asked.materials, asked.training
    model = opened(settings.model, materials, settings.coarse)
    standard = LocalSurrogate(load_bundle(settings.standard)) if settings.standard else model
    names = [OURS, *(name for name in SEARCHES if settings.standard or not name.startswith("standard"))]
    if settings.searches:
        names = [name for name in names if name.startswith(tuple(settings.searches))]
    record = folder / "runs.jsonl"
    lines = record.read_text().splitlines() if record.exists() else []
    done = {(row["search"], row["problem"], row["seed"]): row for row in map(json.loads, lines)}

    name = model.digest[:8] + (f"/{settings.coarse}" if settings.coarse else "")
    of = f" {','.join(settings.properties)}" if settings.properties else ""
    problems: dict[str, tuple[Target, float]] = {
        f"{data.manifest.digest[:8]} {name}{of} {which}": (target, ENOUGH) for which, target in asked.targets.items()
    }
    optima = {
        f"{materials.digest[:8]}-{name} {each}": (Target.model_validate(OPTIMA[each]), -np.inf) for each in OPTIMA
    }
    for problem_name, (target, enough) in (problems | (optima if settings.optima else {})).items():
        for seed in range(settings.seeds):
            for search in names:
                if (search, problem_name, seed) in done:
                    continue
                budget = settings.ours if search == OURS or enough < 0 else settings.budget
                wanted = 1 if enough < 0 else settings.designs  # of an optimum there is one, as of the other searches
                problem = Problem(target, materials, FFTEvaluator(), budget, enough, training, model, standard)
                row = {
                    "search": search,
                    "problem": problem_name,
                    "seed": seed,
                    **run(search, problem, seed, settings.batch, wanted),
                }
                done[search, problem_name, seed] = row
                with record.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(f"{problem_name}, seed {seed}, {search}: {row['evaluations']}, {row['best']:.4f}", flush=True)

    print(f"\nTargets: {settings.kind}")
    print_targets(names, [row for row in done.values() if row["problem"] in problems], len(asked_for))
    if settings.optima:
        known = partial(best_known, training)
        print_optima(names, list(done.values()), {k: (v[0], known(v[0])) for k, v in optima.items()}, materials)
    if settings.workers:
        middle = {n: float(np.median(held_out.properties[n])) for n in model.properties}
        table = dict(training.properties)
        print_utilisation(model, Target(properties=middle), materials, table, settings.workers, settings.evaluations)
    print(f"\nmodel {name}")


def opened(bundle: str, materials: Materials, coarse: int | None) -> Surrogate:
    """The model, carried over to the phases if they are not its own, with the predictions that are asked for."""
    model: Surrogate = LocalSurrogate(load_bundle(bundle))
    given, shape, is_rough = model.describe()["materials"], described_shape(model.describe()["model"]["network"]), False
    if given is not None and Materials.model_validate(given).digest != materials.digest:
        model = transfer = MaterialTransfer(model, Materials.model_validate(given), materials)
        is_rough = not transfer.is_scaling
    factor = settled_factor(coarse, shape, FFTEvaluator(), materials, is_rough)
    return model if factor == 1 else CoarseGrid(model, FFTEvaluator(), materials, factor)


def best_known(training: Any, target: Target) -> float:
    """The best training image's value."""
    values = target.objectives(target.table(training.properties))[:, 0]
    return float(values[target.admits(training.labels)].max())


def print_targets(names: list[str], rows: list[dict[str, Any]], properties: int) -> None:
    """The first table."""
    print(f"\nEvaluations until {properties} properties are within {ENOUGH:.0%}\n")
    print("| search | median | quartiles | within 64 | runs | 3 designs | CPU s a run |\n|---|---|---|---|---|---|---|")
    for name in names:
        mine = [row for row in rows if row["search"] == name]
        if not mine:
            continue
        counts = np.array([row["evaluations"] for row in mine])
        low, middle, high = np.quantile(counts, [0.25, 0.5, 0.75])
        designs = f"{np.mean([row['designs'] >= 3 for row in mine]):.0%}" if name == OURS else ""
        share = np.mean([row["solved"] and row["evaluations"] <= 64 for row in mine])
        seconds = np.median([row["seconds"] for row in mine])
        print(f"| {name} | {middle:g} | {low:g} to {high:g} | {share:.0%} | {len(mine)} | {designs} | {seconds:.0f} |")


def print_optima(
    names: list[str], rows: list[dict[str, Any]], optima: dict[str, tuple[Target, float]], materials: Materials
) -> None:
    """The second table."""
    for problem, (_, known) in optima.items():
        title = problem.split(" ", 1)[1]
        limit = bound(title, materials)
        print(f"\n{title}: bound {limit:.3f}, best training image {known:.3f}\n")
        print("| search | after 16 | after 32 | after 64 | share of the bound |\n|---|---|---|---|---|")
        for name in names:
            mine = [row["history"] for row in rows if row["search"] == name and row["problem"] == problem]
            if not mine:
                continue
            at = [-float(np.median([history[min(n, len(history)) - 1] for history in mine])) for n in (16, 32, 64)]
            print(f"| {name} | {at[0]:.3f} | {at[1]:.3f} | {at[2]:.3f} | {at[2] / limit:.0%} |")
