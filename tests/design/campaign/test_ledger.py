import json
from dataclasses import replace

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.design.campaign.ledger import Ledger
from microdesign.design.campaign.trials import Trial, TrialState
from microdesign.physics.execution.store import evaluation_key

IDENTITY = {"target": {"properties": {"Ex": 2.0}, "volume_fraction": (0, 1)}, "seed": 0}


def trial(number: int, round_: int = 0) -> Trial:
    labels = (np.random.default_rng(number).random((8, 8)) < 0.5).astype(np.uint8)
    key = evaluation_key(labels, "m", "f")
    return Trial(number, key, labels, np.arange(3) + number, 1, round_, "draw", "p", "model", {"Ex": 1.9})


def succeeded(number: int, order: int = 0, round_: int = 0) -> Trial:
    ended = trial(number, round_).moved(TrialState.RUNNING, {"waiting": 0.5}, attempts=1)
    return replace(ended.moved(TrialState.SUCCEEDED, {"evaluating": 0.25}, order=order), verified={"Ex": 2.0 + number})


def same(mine: Trial, theirs: Trial) -> bool:
    plain = replace(mine, labels=None, z=None) == replace(theirs, labels=None, z=None)
    return plain and np.array_equal(mine.labels, theirs.labels) and np.array_equal(mine.z, theirs.z)


def test_what_is_recorded_is_read_again(tmp_path):
    ledger = Ledger(str(tmp_path / "c"), IDENTITY)
    ledger.record([trial(0), trial(1)])
    ledger.record([trial(2, round_=3), succeeded(1)])
    ledger.record([trial(0).moved(TrialState.FAILED, error="no", order=1)])
    again = Ledger(str(tmp_path / "c"), IDENTITY)
    assert (again.rounds, len(again)) == (4, 2)
    assert [t.number for t in again.trials] == [0, 1, 2]
    assert [t.number for t in again.evaluations] == [1, 0]
    assert [t.number for t in again.succeeded] == [1]
    assert [t.number for t in again.open] == [2]
    assert all(same(mine, theirs) for mine, theirs in zip(ledger.trials, again.trials, strict=True))
    assert again.succeeded[0].timings == {"waiting": 0.5, "evaluating": 0.25}


def test_an_answer_is_final():
    with pytest.raises(InputError, match="Trial 4 is succeeded already"):
        succeeded(4).moved(TrialState.FAILED)


def test_seconds_of_all_attempts_add_up():
    again = trial(0).moved(TrialState.RUNNING).moved(TrialState.RETRYABLE, {"evaluating": 2.0}, error="the worker died")
    assert again.moved(TrialState.RUNNING).moved(TrialState.SUCCEEDED, {"evaluating": 3.0}).seconds == 5.0


def test_many_parts_are_merged_and_nothing_is_lost(tmp_path):
    ledger = Ledger(str(tmp_path), IDENTITY)
    for number in range(70):
        ledger.record([trial(number)])
        ledger.record([succeeded(number, order=69 - number)])
    reopened = [Ledger(str(tmp_path), IDENTITY), Ledger(str(tmp_path), IDENTITY)]
    assert len(list((tmp_path / "evaluations").glob("part-*"))) == 1
    for again in reopened:
        assert all(same(mine, theirs) for mine, theirs in zip(ledger.trials, again.trials, strict=True))
    reopened[1].record([trial(70)])
    assert len(Ledger(str(tmp_path), IDENTITY).trials) == 71


def test_the_key_depends_on_image_materials_and_evaluator():
    image = trial(0).labels
    keys = {evaluation_key(image, "m", "f"), evaluation_key(image, "n", "f"), evaluation_key(image, "m", "g")}
    keys |= {evaluation_key(image.T, "m", "f"), evaluation_key(image.reshape(4, 16), "m", "f")}
    assert len(keys) == 5
    assert evaluation_key(image.astype(np.int64), "m", "f") in keys


def test_half_written_parts_do_not_count(tmp_path):
    Ledger(str(tmp_path), IDENTITY).record([succeeded(0)])
    (tmp_path / "evaluations" / ".part-000001-x.parquet").write_bytes(b"half")
    assert len(Ledger(str(tmp_path), IDENTITY)) == 1


def test_another_campaign_is_refused(tmp_path):
    Ledger(str(tmp_path), IDENTITY)
    with pytest.raises(InputError, match="another seed"):
        Ledger(str(tmp_path), IDENTITY | {"seed": 1})


def test_damage_is_named(tmp_path):
    Ledger(str(tmp_path), IDENTITY).record([succeeded(0)])
    part = next((tmp_path / "evaluations").glob("part-*"))
    part.write_bytes(part.read_bytes()[:50])
    with pytest.raises(InputError, match=f"{part.name}: is damaged"):
        Ledger(str(tmp_path), IDENTITY)
    (tmp_path / "campaign.json").write_text("{")
    with pytest.raises(InputError, match=r"campaign.json: is damaged"):
        Ledger(str(tmp_path), IDENTITY)


def test_a_uri_is_a_folder_too(tmp_path):
    Ledger((tmp_path / "c").as_uri(), IDENTITY).record([succeeded(0)])
    assert len(Ledger(str(tmp_path / "c"), IDENTITY)) == 1
    assert json.loads((tmp_path / "c" / "campaign.json").read_text())["seed"] == 0
