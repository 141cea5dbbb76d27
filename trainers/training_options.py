# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Options of a trainer in a recipe: whether they are of the right types, and their packages installed."""

from collections.abc import Mapping
from typing import get_args, get_type_hints

from transformers.integrations import get_available_reporting_integrations, is_deepspeed_available

NO_REPORT = ("none", "all")
OF_TYPE: dict[object, str] = {bool: "true or false", int: "a whole number", float: "a number"}


def check_option_types(options: Mapping[str, object], config: type, file: str, section: str) -> None:
    """Raises `ValueError` for a value that is not true or false, or no number, where the option is one of these.

    transformers takes any text for true, and fails at other texts late.

    Args:
        config: `FavorSFTConfig` or another configuration, which says the types.
        file, section: of the recipe, for messages.
    """
    hints = get_type_hints(config)
    for name, value in options.items():
        kinds = set(get_args(hints.get(name)) or (hints.get(name),)) - {type(None)}
        kind = kinds.pop() if len(kinds) == 1 else None
        if kind not in OF_TYPE or value is None or _is_of(kind, value):
            continue
        raise ValueError(f"{file}: {section}.{name} must be {OF_TYPE[kind]}, but it is {value!r}.")


def check_packages(options: Mapping[str, object], section: str) -> None:
    """Raises `ValueError` if an option of a recipe's section needs a package that is not installed."""
    named = options.get("report_to") or []
    for name in [named] if isinstance(named, str) else named if isinstance(named, list) else []:
        if name not in (*NO_REPORT, *get_available_reporting_integrations()):
            raise ValueError(
                f"{section}: report_to names {name!r}, which is unknown or not installed: install it, or set "
                "report_to to none."
            )
    if options.get("deepspeed") is not None and not is_deepspeed_available():
        raise ValueError(f"{section}: deepspeed is not installed: pip install deepspeed, or leave the option out.")


def _is_of(kind: object, value: object) -> bool:
    """Whether a value is true or false, or a number; 1e2, a float in YAML, is a whole one, too."""
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    return isinstance(value, int | float) and (kind is float or float(value).is_integer())
