"""References to models and to Python objects."""

import pytest

from microdesign.core.errors import InputError
from microdesign.core.references import (
    BundleFolder,
    Endpoint,
    RegisteredModel,
    load_named,
    parse_model,
    parse_registered,
)


def test_each_form_of_a_model_is_read_and_written_back() -> None:
    for text, expected in (
        ("models:/a model@champion", RegisteredModel("a model", alias="champion")),
        ("models:/name/12", RegisteredModel("name", version=12)),
        ("http://head:8000", Endpoint("http://head:8000")),
        ("https://host/path", Endpoint("https://host/path")),
        ("runs/first/bundle", BundleFolder("runs/first/bundle")),
        ("name@champion", BundleFolder("name@champion")),
    ):
        assert parse_model(text) == expected
        assert str(parse_model(text)) == text


def test_a_reference_that_is_none_is_refused() -> None:
    for text in ("models:/", "models:/name", "models:/name@", "models:/name/latest", "models:/@a", "models:/name/"):
        for parse in (parse_model, parse_registered):
            with pytest.raises(InputError, match=f"'{text}' is no model reference; expected models:/NAME@ALIAS or mod"):
                parse(text)
    for text in ("champion", "name@champion", "", "http://host"):
        with pytest.raises(InputError, match="is no model reference"):
            parse_registered(text)


def test_a_python_object_is_imported_by_its_name() -> None:
    assert load_named("collections:OrderedDict", "a thing", "module:name").__name__ == "OrderedDict"
    for name, reason in (
        ("nowhere:x", "ModuleNotFoundError"),
        ("math:colour", "AttributeError"),
        ("math", "AttributeError"),
        (":x", "ValueError"),
    ):
        with pytest.raises(InputError, match=rf"^the loss cannot be loaded \({reason}.*\); expected module:name\.$"):
            load_named(name, "the loss", "module:name")
