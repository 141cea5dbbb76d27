# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""JSON as a type, and the fields of a JSON object read by name and kind."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
JsonObject = Mapping[str, Json]
Kind = TypeVar("Kind")

_SHOWN_CHARACTERS = 60  # of a wrong value, in an error


class Fields:
    """The fields of a JSON object. What is missing or of another kind is a `ValueError` with file, field and value.

    Args:
        content: what the file holds at `place`.
        file: for errors.
        place: path of the object within the file, such as "tasks.asr"; empty for the whole.
    """

    def __init__(self, content: object, file: Path, place: str = ""):
        self.file, self.place = file, place
        if not isinstance(content, dict):
            raise ValueError(f"{file}: {place or 'the content'} is {_shown(content)}; it must be an object.")
        self._content: dict[str, Json] = content

    @classmethod
    def of_file(cls, file: Path) -> "Fields":
        """Raises `ValueError` if the file is not JSON."""
        return cls(read_json(file), file)

    def __contains__(self, name: str) -> bool:
        return name in self._content

    def names(self) -> list[str]:
        return list(self._content)

    def where(self, name: str) -> str:
        """For example "results.json: tasks.asr.value"."""
        return f"{self.file}: {self.place}.{name}" if self.place else f"{self.file}: {name}"

    def text(self, name: str, default: str | None = None) -> str:
        """A text; required unless there is a default."""
        return self._required(name, str, "a text", default)

    def optional_text(self, name: str) -> str | None:
        return self._optional(name, str, "a text or null")

    def optional_number(self, name: str, finite: bool = True) -> float | None:
        value = self._optional(name, (int, float), "a number or null")
        if value is not None and finite and not math.isfinite(value):
            raise ValueError(f"{self.where(name)} is {value}; it must be a finite number or null.")
        return value

    def integer(self, name: str, default: int | None = None) -> int:
        return self._required(name, int, "a whole number", default)

    def optional_count(self, name: str) -> int | None:
        value = self._optional(name, int, "a count or null")
        if value is not None and value < 0:
            raise ValueError(f"{self.where(name)} is {value}; it must be 0 or more, or null.")
        return value

    def count(self, name: str, default: int | None = None) -> int:
        value = self.optional_count(name)
        return self._required(name, int, "a count", default) if value is None else value

    def flag(self, name: str, default: bool) -> bool:
        return self._required(name, bool, "true or false", default)

    def optional_flag(self, name: str) -> bool | None:
        return self._optional(name, bool, "true, false or null")

    def optional_interval(self, name: str) -> tuple[float, float] | None:
        """[low, high], of finite numbers."""
        value = self._optional(name, list, "[low, high] or null")
        if value is None:
            return None
        numbers = [bound for bound in value if isinstance(bound, int | float) and not isinstance(bound, bool)]
        if len(value) != 2 or len(numbers) != 2 or not all(map(math.isfinite, numbers)) or numbers[0] > numbers[1]:
            raise ValueError(f"{self.where(name)} is {_shown(value)}; it must be two numbers, [low, high], or null.")
        return numbers[0], numbers[1]

    def list_of(self, name: str, kind: type[Kind], described: str) -> list[Kind]:
        """A list whose entries are all of a kind; required."""
        entries = self._required(name, list, described, None)
        if not all(isinstance(entry, kind) for entry in entries):
            raise ValueError(f"{self.where(name)} is {_shown(entries)}; it must be {described}.")
        return entries

    def texts(self) -> dict[str, str]:
        """All fields, which must be texts."""
        return {name: self.text(name) for name in self.names()}

    def texts_of(self, name: str) -> dict[str, str]:
        """An object of texts; empty if it is not there."""
        fields = self.section(name)
        return {} if fields is None else fields.texts()

    def mapping(self, name: str) -> JsonObject:
        """An object as it is; empty if it is not there."""
        fields = self.section(name)
        return {} if fields is None else fields.as_json()

    def section(self, name: str) -> "Fields | None":
        """The fields of an object below this one, or None if it is not there or null."""
        if self._content.get(name) is None:
            return None
        return Fields(self._content[name], self.file, f"{self.place}.{name}" if self.place else name)

    def sections(self, name: str) -> "dict[str, Fields]":
        """The objects of an object below this one; empty if it is not there."""
        fields = self.section(name)
        return {} if fields is None else fields.all_sections()

    def all_sections(self) -> "dict[str, Fields]":
        """All fields, which must be objects."""
        return {
            key: Fields(value, self.file, f"{self.place}.{key}" if self.place else key)  # null is no object either
            for key, value in self._content.items()
        }

    def as_json(self) -> JsonObject:
        """The whole object."""
        return self._content

    def _optional(self, name: str, kind: type[Kind] | tuple[type[Kind], ...], described: str) -> Kind | None:
        value = self._content.get(name)
        if value is None:
            return None
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise ValueError(f"{self.where(name)} is {_shown(value)}; it must be {described}.")
        return value

    def _required(self, name: str, kind: type[Kind], described: str, default: Kind | None) -> Kind:
        value = self._optional(name, kind, described)
        found = default if value is None else value
        if found is None:
            there = "null" if name in self._content else f"missing (there are {', '.join(self._content) or 'none'})"
            raise ValueError(f"{self.where(name)} is {there}; it must be {described}.")
        return found


def read_json(file: Path) -> Json:
    """The content of a JSON file. Raises `ValueError` if it is none."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is not JSON ({error}).") from error


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
