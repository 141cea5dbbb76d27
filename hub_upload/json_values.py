# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""JSON as a type, and its values by kind: settings that other programs wrote may lack any of them."""

from collections.abc import Mapping, Sequence

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
JsonObject = Mapping[str, Json]


def section(content: JsonObject, name: str) -> JsonObject:
    """The object of that name; an empty one if there is none."""
    value = content.get(name)
    return value if isinstance(value, dict) else {}


def text(content: JsonObject, name: str) -> str | None:
    value = content.get(name)
    return value if isinstance(value, str) else None


def texts(value: Json) -> list[str]:
    """A field that may hold one name or several."""
    if isinstance(value, str):
        return [value]
    return [f"{entry}" for entry in value] if isinstance(value, list | tuple) else []


def number(content: JsonObject, *names: str) -> float | None:
    """The first of the names that is a number other than 0; none is stated by either."""
    for name in names:
        value = content.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and value:
            return value
    return None
