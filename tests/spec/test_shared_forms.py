from __future__ import annotations

import json
from typing import Any

import pytest

from cpd.methods.registry import REGISTRY
from cpd.spec import schema
from cpd.spec.shared_forms import share_forms


def written_out(part: Any, definitions: dict[str, Any]) -> Any:
    """With each reference replaced by what it refers to."""
    if isinstance(part, list):
        return [written_out(one, definitions) for one in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        assert set(part) == {"$ref"}, "what stands beside a reference is overlooked"
        return written_out(definitions[part["$ref"].removeprefix("#/definitions/")], definitions)
    whole = {key: written_out(value, definitions) for key, value in part.items()}
    inner = whole.get("anyOf")
    if isinstance(inner, list) and len(inner) == 1 and set(inner[0]) == {"anyOf"}:
        return {**whole, **inner[0]}
    return whole


def test_the_forms_say_what_the_blocks_said() -> None:
    blocks = {name: schema._block(method.hyperparameters) for name, method in REGISTRY.items()}
    shared = share_forms(blocks, "form")
    assert {name: written_out(shared[name], shared) for name in blocks} == blocks
    assert len(json.dumps(shared)) < len(json.dumps(blocks)) / 3


def test_names_that_look_like_keywords_and_short_forms_stay() -> None:
    long = {"type": "string", "enum": ["a rather long word " * 3, "and another one " * 3], "minLength": 1}
    schemas: dict[str, dict[str, Any]] = {
        "one": {"type": "object", "properties": {"items": long, "not": {"description": "kept", "anyOf": [long, {}]}}},
        "two": {"type": "array", "items": long, "minItems": 1},
    }
    shared = share_forms(schemas, "form")
    assert set(shared) == {"one", "two", "form 1"}
    assert shared["form 1"] == long
    assert shared["one"]["properties"]["not"] == {
        "description": "kept",
        "anyOf": [{"$ref": "#/definitions/form 1"}, {}],
    }
    assert {name: written_out(shared[name], shared) for name in schemas} == schemas


@pytest.mark.parametrize("default", [None, 0.1])
def test_a_default_stays_beside_what_is_shared(default: float | None) -> None:
    choices = [{"type": "number", "minimum": 0, "description": "x" * 60}, {"type": "string", "enum": ["none" * 20]}]
    one: dict[str, Any] = {"properties": {"a": {"description": "of one", "default": default, "anyOf": choices}}}
    two: dict[str, Any] = {"properties": {"b": {"description": "of two", "anyOf": choices}}}
    shared = share_forms({"one": one, "two": two}, "form")
    assert shared["one"]["properties"]["a"] == {
        "description": "of one",
        "default": default,
        "anyOf": [{"$ref": "#/definitions/form 1"}],
    }
    assert shared["form 1"] == {"anyOf": choices}
