import json
from dataclasses import replace

import numpy as np
import pytest

from microdesign.design.ledger import Evaluation, Ledger
from microdesign.errors import InputError
from microdesign.physics.store import evaluation_key

IDENTITY = {"target": {"properties": {"Ex": 2.0}, "volume_fraction": (0, 1)}, "seed": 0}


def evaluation(number: int, round_: int = 0, error: str = "") -> Evaluation:
    labels = (np.random.default_rng(number).random((8, 8)) < 0.5).astype(np.uint8)
    verified = {} if error else {"Ex": 2.0 + number, "iterations": 7.0}
    return Evaluation(
        evaluation_key(labels, "m", "f"),
        labels,
        np.arange(3) + number,
        1,
        round_,
        "p",
        {"Ex": 1.9},
        verified,
        0.5,
        error,
    )


def test_what_is_recorded_is_read_again(tmp_path):
    ledger = Ledger(str(tmp_path / "c"), IDENTITY)
    ledger.append([evaluation(0), evaluation(1, error="no")])
    ledger.append([evaluation(2, round_=3)])
    again = Ledger(str(tmp_path / "c"), IDENTITY)
    assert again.rounds == 4
    assert [e.key for e in again.evaluations] == [e.key for e in ledger.evaluations]
    for mine, theirs in zip(ledger.evaluations, again.evaluations, strict=True):
        assert np.array_equal(mine.labels, theirs.labels)
        assert np.array_equal(mine.z, theirs.z)
        assert replace(mine, labels=None, z=None) == replace(theirs, labels=None, z=None)


def test_a_key_is_recorded_once(tmp_path):
    ledger = Ledger(str(tmp_path), IDENTITY)
    ledger.append([evaluation(0)])
    ledger.append([evaluation(0), evaluation(1)])
    assert len(Ledger(str(tmp_path), IDENTITY)) == 2


def test_the_key_depends_on_image_materials_and_evaluator():
    image = evaluation(0).labels
    keys = {evaluation_key(image, "m", "f"), evaluation_key(image, "n", "f"), evaluation_key(image, "m", "g")}
    keys |= {evaluation_key(image.T, "m", "f"), evaluation_key(image.reshape(4, 16), "m", "f")}
    assert len(keys) == 5
    assert evaluation_key(image.astype(np.int64), "m", "f") in keys


def test_half_written_parts_do_not_count(tmp_path):
    Ledger(str(tmp_path), IDENTITY).append([evaluation(0)])
    (tmp_path / "evaluations" / ".part-000001-x.parquet").write_bytes(b"half")
    assert len(Ledger(str(tmp_path), IDENTITY)) == 1


def test_another_campaign_is_refused(tmp_path):
    Ledger(str(tmp_path), IDENTITY)
    with pytest.raises(InputError, match="another seed"):
        Ledger(str(tmp_path), IDENTITY | {"seed": 1})


def test_damage_is_named(tmp_path):
    Ledger(str(tmp_path), IDENTITY).append([evaluation(0)])
    part = next((tmp_path / "evaluations").glob("part-*"))
    part.write_bytes(part.read_bytes()[:50])
    with pytest.raises(InputError, match=f"{part.name}: is damaged"):
        Ledger(str(tmp_path), IDENTITY)
    (tmp_path / "campaign.json").write_text("{")
    with pytest.raises(InputError, match=r"campaign.json: is damaged"):
        Ledger(str(tmp_path), IDENTITY)


def test_a_uri_is_a_folder_too(tmp_path):
    Ledger((tmp_path / "c").as_uri(), IDENTITY).append([evaluation(0)])
    assert len(Ledger(str(tmp_path / "c"), IDENTITY)) == 1
    assert json.loads((tmp_path / "c" / "campaign.json").read_text())["seed"] == 0
