"""A key that is given twice is refused; merges stay."""

from pathlib import Path

import pytest

from microdesign.core.config import load_config, read_yaml_mapping
from microdesign.core.errors import InputError
from microdesign.core.strict_yaml import DuplicateKeyError, parse_yaml
from microdesign.physics.materials import Materials

TWICE = {
    "plane: stress\nphases: [{k: 1}]\nplane: strain\n": "the key 'plane' is given twice, in line 1 and in line 3",
    "phases:\n- {k: 1, k: 2}\n": "the key 'k' is given twice, in line 2; expected it once",
    "a:\n  b: 1\n  'b': 2\n": "the key 'b' is given twice, in line 2 and in line 3",
    "1: a\n1: b\n": "the key '1' is given twice",
    "base: &base {k: 1}\na: {<<: *base, k: 2, k: 3}\n": "the key 'k' is given twice, in line 2",
}


def test_a_key_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    for text, message in TWICE.items():
        with pytest.raises(DuplicateKeyError, match=message):
            parse_yaml(text)
        path = tmp_path / "job.yaml"
        path.write_text(text)
        with pytest.raises(InputError, match=f"^{path}: {message}"):
            read_yaml_mapping(path)
    with pytest.raises(InputError, match=r"--set phases=.*: the key 'k' is given twice, in line 1"):
        load_config(Materials, None, ["phases=[{k: 1, k: 2}]"])


def test_merges_stay() -> None:
    text = """
    base: &base {k: 1, E: 2}
    other: &other {nu: 0.3}
    second: &second {<<: *base, k: 3}
    third: {<<: *second, E: 4}
    both: {<<: *base, <<: *other, k: 5}
    """
    values = parse_yaml(text)
    assert values["second"] == {"k": 3, "E": 2}
    assert values["third"] == {"k": 3, "E": 4}
    assert values["both"] == {"k": 5, "E": 2, "nu": 0.3}
    # The same key in two mappings, or as a text and as a number, is no repetition.
    assert parse_yaml("a: {k: 1}\nb: {k: 1}\n'1': x\n1: y\n") == {"a": {"k": 1}, "b": {"k": 1}, "1": "x", 1: "y"}
