"""The table of kinds with tries and failures: `python -m tests.faults [--tries 400] [--out faults.jsonl] [KIND ...]`.

What was tried is in the file, one line a try that failed and one for each fifty that did not; the same command goes on
from there. A kind is tried in a process of its own with 8 GiB of memory at most, so that one that dies or does not end
is found too.
"""

import argparse
import json
import multiprocessing
import os
import resource
import time
from collections import Counter
from dataclasses import asdict
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

from tests.faults.fuzzer import Try, tries
from tests.faults.kinds import KINDS

MEMORY = 8 * 2**30
STILL, BLOCKED = 120, 1800
"""Seconds of processor time, and of any time, without an outcome after which a process is taken for hung."""
_PART = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("kinds", nargs="*", default=list(KINDS), metavar="KIND", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--tries", type=int, default=400, help="tries of each kind")
    parser.add_argument("--out", type=Path, default=Path("faults.jsonl"), help="the record, which is gone on with")
    arguments = parser.parse_args()
    done = {name: _recorded(arguments.out, name) for name in arguments.kinds}
    context = multiprocessing.get_context("spawn")
    for name in arguments.kinds:
        while (start := max((count for count, _ in done[name]), default=0)) < arguments.tries:
            reached = context.Value("q", start)
            process = context.Process(target=_work, args=(name, start, arguments.tries, str(arguments.out), reached))
            process.start()
            _wait(process, reached)
            if process.exitcode != 0:
                number = reached.value
                died = Try(name, number, "hang" if process.exitcode is None else "died", f"exit {process.exitcode}")
                process.kill()
                _record(arguments.out, name, number + 1, Counter({"tries": 0}), [died])
            done[name] = _recorded(arguments.out, name)
    _print_table(arguments.out, arguments.kinds)


def _work(name: str, start: int, stop: int, out: str, reached: "Synchronized[int]") -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    counts: Counter[str] = Counter()
    failures: list[Try] = []
    for each in tries(name, start, stop):
        counts[each.outcome] += 1
        failures += [each] if each.failed else []
        reached.value = each.number + 1
        if (each.number + 1) % _PART == 0 or each.number + 1 == stop:
            _record(Path(out), name, each.number + 1, counts, failures)
            counts, failures = Counter(), []


def _wait(process: multiprocessing.process.BaseProcess, reached: "Synchronized[int]") -> None:
    last, since, spent = reached.value, time.monotonic(), 0.0
    while process.is_alive():
        process.join(0.2)
        now = _processor_seconds(process.pid)
        if reached.value != last:
            last, since, spent = reached.value, time.monotonic(), now
        elif now - spent > STILL or time.monotonic() - since > BLOCKED:
            process.kill()
            process.join()


def _processor_seconds(process: int | None) -> float:
    """What a process has used, so that a busy machine does not count as a hang; 0 where it is gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _record(out: Path, name: str, upto: int, counts: Counter[str], failures: list[Try]) -> None:
    line = {"kind": name, "upto": upto, "counts": dict(counts), "failures": [asdict(each) for each in failures]}
    with out.open("a") as file:
        file.write(json.dumps(line) + "\n")


def _recorded(out: Path, name: str) -> list[tuple[int, dict[str, Any]]]:
    if not out.is_file():
        return []
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    return [(line["upto"], line) for line in lines if line["kind"] == name]


def _print_table(out: Path, names: list[str]) -> None:
    print(f"{'kind':20} {'tries':>7} {'read':>7} {'other':>7} {'refused':>8} {'failed':>7}")
    total: Counter[str] = Counter()
    shown: list[str] = []
    for name in names:
        counts: Counter[str] = Counter()
        for _, line in _recorded(out, name):
            counts.update(line["counts"])
            for failure in line["failures"]:
                counts["failed"] += 1
                counts[failure["outcome"]] += failure["outcome"] in ("hang", "died") and not line["counts"]
                shown.append(f"{name} {failure['number']}: {failure['outcome']} {failure['text'].strip()[-400:]}")
        counts["tries"] = sum(counts[key] for key in ("read", "other", "refused", "failed"))
        total.update(counts)
        print(f"{name:20} " + _cells(counts))
    print(f"{'all':20} " + _cells(total))
    print("\n".join(shown[:20]))


def _cells(counts: Counter[str]) -> str:
    widths = {"tries": 7, "read": 7, "other": 7, "refused": 8, "failed": 7}
    return " ".join(f"{counts[key]:{width}}" for key, width in widths.items())
