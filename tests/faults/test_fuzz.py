"""Every kind of file, changed at random: a correct read or one sentence; `python -m tests.faults` tries more."""

import os

from tests.faults.fuzzer import tries
from tests.faults.kinds import KINDS

TRIES = int(os.environ.get("MICRODESIGN_FUZZ_TRIES", "40"))
"""Tries of each kind: 40 take some 8 s of a processor; the variable raises it."""


def test_changed_files_are_read_or_refused_in_a_sentence() -> None:
    failed = [each for name in KINDS for each in tries(name, 0, TRIES) if each.failed]
    assert not failed, "\n".join(f"{each.kind} {each.number}: {each.outcome} {each.text[-300:]}" for each in failed[:5])
