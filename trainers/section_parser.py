# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Reads the mappings of a YAML file into dataclasses by transformers' parser; names each mistake by its place."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, TypeGuard, TypeVar, Union, get_args, get_origin, get_type_hints

from transformers import HfArgumentParser

Section = TypeVar("Section")
FORMS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    Sequence: "a list",
    dict: "a mapping",
}


def parse_section(kind: type[Section], values: object, file: str, name: str = "", owner: str = "it") -> Section:
    """A mapping as a dataclass; the mappings in it as the dataclasses of its fields.

    Args:
        kind: a dataclass. A field whose type is a dataclass, or a list of one, is a section of its own.
        values: the section as it was read; an entry without a value counts as not given where there is a default.
        file: where the values come from, for messages.
        name: dotted, of the section within the file; "" for the whole.
        owner: what messages say that has these options.

    Raises `ValueError` for an option that the section does not have or lacks, for a value of another form, and for
    what the dataclass itself refuses.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{file}: `{name}` must be a mapping, but it is {values!r}.")
    check_names(kind, values, file, name, owner)
    hints, optional = get_type_hints(kind), optional_names(kind)
    parsed = {
        option: parse_option(hints[option], value, file, f"{name}.{option}" if name else option)
        for option, value in values.items()
        if value is not None or option not in optional
    }
    try:
        (section,) = HfArgumentParser(kind).parse_dict(parsed, allow_extra_keys=False)
    except ValueError as error:  # of the dataclass's own checks
        raise ValueError(": ".join(part for part in (file, name, str(error)) if part)) from error
    return section


def check_names(kind: type, values: Mapping[str, object], file: str, name: str = "", owner: str = "it") -> None:
    """Raises `ValueError` for options that a dataclass does not have, and for those without a default that lack."""
    optional = optional_names(kind)
    needed = {field.name for field in dataclasses.fields(kind) if field.init} - optional
    unknown, missing = set(values) - needed - optional, needed - set(values)
    has = [f"has {listed(needed)}"] if needed else []
    has += [f"may have {listed(optional)}"] if optional else []
    if unknown:
        what = f"unknown {name} options" if name else "unknown"
        raise ValueError(f"{file}: {what} {listed(unknown)}; {owner} {' and '.join(has)}.")
    if missing:
        what = f"`{name}` lacks {listed(missing)}" if name else f"`{'`, `'.join(sorted(missing))}` is missing"
        raise ValueError(f"{file}: {what}; {owner} {' and '.join(has)}.")


def parse_option(hint: Any, value: object, file: str, name: str) -> object:
    """A value of the type that a field has; a section where it has one."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    for kind in kinds:
        entry = next(iter(get_args(kind)), None) if get_origin(kind) is list else None
        if is_section(entry) and isinstance(value, list):
            return [parse_section(entry, each, file, f"{name}.{place}") for place, each in enumerate(value)]
        if is_section(kind) and isinstance(value, Mapping):
            return parse_section(kind, value, file, name)
    if not any(fits(value, kind) for kind in kinds):
        forms = " or ".join(dict.fromkeys(form(kind) for kind in kinds if kind is not NoneType))
        raise ValueError(f"{file}: `{name}` must be {forms}, but it is {value!r}.")
    return value


def is_section(kind: Any) -> TypeGuard[type]:
    """Whether a type is a dataclass."""
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)


def fits(value: object, kind: Any) -> bool:
    """Whether a value has a type, the entries of lists and mappings not looked at; 1 is a number, true is none."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    kind = get_origin(kind) or kind
    if isinstance(value, bool):
        return kind is bool
    if kind is Sequence and isinstance(value, str):
        return False
    return isinstance(value, (int, float) if kind is float else kind)


def form(kind: Any) -> str:
    """How messages name a type."""
    if get_origin(kind) is Literal:
        return " or ".join(map(str, get_args(kind)))
    return FORMS.get(get_origin(kind) or kind, "a mapping" if is_section(kind) else "a text")


def optional_names(kind: type) -> set[str]:
    """The fields of a dataclass that have a default."""
    no = dataclasses.MISSING
    return {f.name for f in dataclasses.fields(kind) if f.init and (f.default, f.default_factory) != (no, no)}


def listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(map(str, names)))
