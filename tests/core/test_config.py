"""Configuration: YAML, overrides, and the sentence that each mistake gets."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field, ValidationError, model_validator

from microdesign.core.config import (
    Config,
    changed,
    dump_yaml,
    flatten,
    load_config,
    merged,
    read_yaml_mapping,
    validate_config,
)
from microdesign.core.errors import InputError


class Inner(Config):
    size: int = Field(4, ge=1)
    rate: float = 0.5
    names: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> "Inner":
        if self.size % 2:
            raise ValueError(f"size {self.size} is odd; set it to an even number.")
        return self


class Outer(Config):
    title: str
    inner: Inner = Inner()
    limit: float | None = None
    more: Inner | None = None


def written(folder: Path, text: str) -> Path:
    path = folder / "job.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_file_and_overrides(tmp_path: Path) -> None:
    path = written(tmp_path, "title: β\ninner: {size: 6, names: [a]}\n")
    config = load_config(Outer, path, ["inner.size=8", "limit=1e-3", "inner.rate=2", "inner.size=10"])
    assert config == Outer(title="β", inner=Inner(size=10, rate=2, names=("a",)), limit=1e-3)
    assert load_config(Outer, path, ["inner.names=[b, c]", "limit=null"]).inner.names == ("b", "c")


def test_override_makes_the_section_it_needs() -> None:
    assert load_config(Outer, None, ["title=x", "inner.size=2"]).inner == Inner(size=2)
    assert load_config(Outer, None, ["title=a=b"]).title == "a=b"


def test_empty_file_takes_the_defaults(tmp_path: Path) -> None:
    assert load_config(Inner, written(tmp_path, "# nothing\n")) == Inner()
    assert load_config(Inner) == Inner()


class Nested(Config):
    renamed: ClassVar = {"laps": "rounds"}

    rounds: int = 1


class Holder(Config):
    stages: tuple[Nested, ...] = ()
    by_name: Mapping[str, Nested] = Field(default_factory=dict)
    either: Nested | Inner | None = None


def test_an_unknown_key_is_answered_by_what_was_meant() -> None:
    for values, expected in (
        ({"stages": [{"laps": 2}]}, "s: 'stages.0.laps' is now called 'rounds'."),
        ({"by_name": {"a": {"round": 2}}}, "s: unknown key 'by_name.a.round'; did you mean 'rounds'?"),
        ({"stage": []}, "s: unknown key 'stage'; did you mean 'stages'?"),
        ({"by_name": {"a": {"q": 2}}}, "s: unknown key 'by_name.a.q'; expected one of: rounds."),
    ):
        with pytest.raises(InputError) as error:
            validate_config(Holder, values, "s")
        assert str(error.value) == expected
    with pytest.raises(InputError, match=r"unknown key 'either.*sizes'; did you mean 'size'\?"):
        validate_config(Holder, {"either": {"sizes": 2}}, "s")


def test_dump_is_readable_again(tmp_path: Path) -> None:
    config = Outer(title="µ", inner=Inner(size=2, names=("a", "b")))
    assert load_config(Outer, written(tmp_path, dump_yaml(config))) == config


def test_configs_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Inner().size = 2


def test_mistakes(tmp_path: Path) -> None:
    cases: tuple[tuple[str, list[str], str], ...] = (
        ("{}", [], r"job\.yaml: 'title' is missing\."),
        ("titles: a", [], r"job\.yaml: unknown key 'titles'; did you mean 'title'"),
        ("title: a\ncolour: red", [], r"job\.yaml: unknown key 'colour'; expected one of: inner, limit, more, title\."),
        (
            "title: a\ninner: {length: 2}",
            [],
            r"job\.yaml: unknown key 'inner\.length'; expected one of: names, rate, size\.",
        ),
        ("title: a", ["inner.length=2"], r"unknown key 'inner\.length'"),
        ("title: a", ["more.length=2"], r"unknown key 'more\.length'; expected one of: names, rate, size\."),
        ("title: [a]", [], r"job\.yaml: 'title' is not valid: Input should be a valid string\."),
        ("title: a", ["inner.size=big"], r"'inner\.size' = 'big' is not valid: Input should be a valid integer"),
        ("title: a", ["inner.size=0"], r"'inner\.size' = 0 is not valid: Input should be greater than or equal to 1\."),
        ("title: a", ["inner.size=3"], r"'inner' is not valid: size 3 is odd; set it to an even number\.$"),
        ("title: a", ["inner.size"], r"--set inner\.size: has no '='; expected key\.subkey=value\."),
        ("title: a", ["=3"], r"--set =3: has no '='"),
        ("title: a", ["title.first=3"], r"--set title\.first=3: 'title' is a value, not a section\."),
        ("title: a", ["limit=[1"], r"--set limit=\[1: the value is not valid YAML\."),
        ("title: a", ["title=2026-13-45"], r"--set title=2026-13-45: the value is not valid YAML\."),
        ("- a\n- b", [], r"job\.yaml: holds a list; expected a mapping of settings\."),
        ("just text", [], r"job\.yaml: holds a str; expected a mapping of settings\."),
        ("title: [a", [], r"job\.yaml: is not valid YAML \(.*line 1"),
        ("title: 2026-13-45", [], r"job\.yaml: is not valid YAML \(month must be in 1\.\.12"),
        ("title: !!python/object:os.system a", [], r"job\.yaml: is not valid YAML"),
    )
    for text, overrides, message in cases:
        with pytest.raises(InputError, match=message) as caught:
            load_config(Outer, written(tmp_path, text), overrides)
        assert "\n" not in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read \(No such file or directory\); expected a YAML"):
        load_config(Outer, tmp_path / "none.yaml")
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory\)"):
        read_yaml_mapping(tmp_path)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "image.yaml"
    path.write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(InputError, match=r"image\.yaml: is not valid YAML"):
        load_config(Outer, path)


def test_settings_without_a_file_are_named_so() -> None:
    with pytest.raises(InputError, match=r"^the settings: 'title' is missing\.$"):
        load_config(Outer)
    with pytest.raises(InputError, match=r"^a job: 'the whole' = 3 is not valid"):
        validate_config(Outer, 3, "a job")


def test_settings_are_put_in_by_dotted_names() -> None:
    config = changed(Outer(title="a"), {"inner.size": 6, "title": "b", "more.size": 2}, "models.a")
    assert (config.inner.size, config.inner.rate, config.title) == (6, 0.5, "b")
    assert config.more == Inner(size=2)  # a section that is null is made
    holder = Holder(stages=(Nested(rounds=1), Nested(rounds=2)), by_name={"a": Nested()})
    found = changed(holder, {"stages.1.rounds": 5, "by_name.b.rounds": 3, "by_name.a": {"rounds": 4}}, "s")
    assert found == Holder(
        stages=(Nested(rounds=1), Nested(rounds=5)), by_name={"a": Nested(rounds=4), "b": Nested(rounds=3)}
    )
    for config, name, value, message in (
        (Outer(title="a"), "title.more", 3, r"m: title\.more: 'title' is a value, not a section\."),
        (Outer(title="a"), "inner.size", 0, r"m: 'inner\.size' = 0 is not valid"),
        (Outer(title="a"), "inner.colour", 0, r"m: unknown key 'inner\.colour'"),
        (holder, "stages.2.rounds", 3, r"m: stages\.2\.rounds: 'stages' is a list of 2; expected a position .* '2'\."),
        (holder, "stages.first", 3, r"m: stages\.first: 'stages' is a list of 2; expected a position .* 'first'\."),
    ):
        with pytest.raises(InputError, match=message):
            changed(config, {name: value}, "m")


def test_flattened_settings_are_merged_section_by_section() -> None:
    nested = {"inner": {"size": 6, "names": ["a"]}, "title": "b"}
    assert flatten(nested) == {"inner.size": 6, "inner.names": ["a"], "title": "b"}
    config = changed(Outer(title="a", inner=Inner(rate=2)), flatten(nested), "s")
    assert config == Outer(title="b", inner=Inner(size=6, rate=2, names=("a",)))
    plain = {"inner": {"size": 2, "rate": 1}, "limit": None}
    assert merged(plain, nested | {"limit": 3}) == {
        "inner": {"size": 6, "rate": 1, "names": ["a"]},
        "limit": 3,
        "title": "b",
    }
    assert plain == {"inner": {"size": 2, "rate": 1}, "limit": None}
    with pytest.raises(InputError, match="'limit' is a value, not a section"):
        merged({"limit": 3}, {"limit": {"least": 1}})
