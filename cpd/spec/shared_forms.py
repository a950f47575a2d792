"""Schemas in which a form that stands in several places is written once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

Schema = dict[str, Any]

WORTH = 120
"""Characters from which a form is longer than what refers to it."""


def share_forms(definitions: Mapping[str, Schema], prefix: str) -> dict[str, Schema]:
    """Write every form once that several definitions have.

    Args:
        definitions: Schemas of draft 7, by name.
        prefix: Of the names of what is shared, ``prefix 1`` and so on.

    Returns:
        The definitions, whose descriptions and defaults stay where they are, and then the shared forms.
    """
    count: Counter[str] = Counter()
    for schema in definitions.values():
        _visit(schema, lambda form: count.update([_text(form)]))
    names: dict[str, str] = {}
    shared: dict[str, Schema] = {}

    def written_once(form: Schema) -> Schema:
        text = _text(form)
        if count[text] < 2 or len(text) < WORTH or "$ref" in form:
            return _mapped(form, written_once)
        if text not in names:
            names[text] = f"{prefix} {len(names) + 1}"
            shared[names[text]] = _mapped(form, written_once)
        return {"$ref": f"#/definitions/{names[text]}"}

    own = {name: _mapped(schema, written_once) for name, schema in definitions.items()}
    return own | shared


def _text(form: Schema) -> str:
    return json.dumps(form, sort_keys=True)


def _visit(schema: Schema, see: Callable[[Schema], None]) -> None:
    def seen(form: Schema) -> Schema:
        see(form)
        _visit(form, see)
        return form

    _mapped(schema, seen)


def _mapped(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """The schema with its parts changed, each in a place that a reference may stand in.

    Of a part with a description only the alternatives are such a place: draft 7 overlooks what is beside a reference.
    """
    return {key: _part(key, value, change) for key, value in schema.items()}


def _part(key: str, value: Any, change: Callable[[Schema], Schema]) -> Any:
    if key in ("anyOf", "oneOf", "allOf"):
        return [_change(one, change) for one in value]
    if key == "properties":
        return {name: _change(one, change) for name, one in value.items()}
    if key in ("items", "additionalProperties", "propertyNames", "not", "if", "then", "else") and isinstance(
        value, dict
    ):
        return _change(value, change)
    return value


def _change(form: Schema, change: Callable[[Schema], Schema]) -> Schema:
    beside: Schema = {key: form[key] for key in ("description", "default") if key in form}
    alternatives = {key: value for key, value in form.items() if key not in beside}
    if not beside or set(alternatives) != {"anyOf"}:
        return change(form)
    changed = change(alternatives)
    return {**beside, **(changed if "anyOf" in changed else {"anyOf": [changed]})}
