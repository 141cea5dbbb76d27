# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The card of a data set's repository: metadata with splits for the viewer, counts, and code that reads it."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from huggingface_hub import DatasetCardData

from .card_text import card_template, card_text, card_to_update, metadata_of, section_text
from .dataset_shards import MEDIA_KEYS
from .outgoing_files import Outgoing, write_changed

if TYPE_CHECKING:
    from .dataset_repo import Split

COUNTED = ("task", "family", "streams")  # fields of few values
MOST_VALUES = 40
LONGEST_EXAMPLE = 120  # characters
ABOUT = "<!-- favor:begin about -->"  # as the template has it
SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M", 10_000_000: "1M<n<10M"}
FEATURES = {"video": "Video", "image": "Image", "audio": "Audio"}


@dataclass(frozen=True)
class DatasetFacts:
    """
    What the user says about a data set.

    Args:
        license: the Hub's name of a licence; required: without one nobody may use the data.
        license_name, license_link: of a licence that the Hub has no name for ("other").
        languages: ISO 639 codes.
        source: where the media come from, in a few words.
        about: Markdown on what the data are and how they were checked; becomes a section of the card.
    """

    license: str
    license_name: str | None = None
    license_link: str | None = None
    languages: tuple[str, ...] = ()
    source: str | None = None
    about: str | None = None

    def __post_init__(self) -> None:
        if not self.license:
            raise ValueError("Data need a licence: name it (--license cc-by-4.0, ...), or nobody may use them.")
        if self.license == "other" and not self.license_name:
            raise ValueError("The licence 'other' needs a name (--license-name).")


def write_dataset_card(
    outgoing: Outgoing,
    repo_id: str,
    facts: DatasetFacts,
    form: str,
    splits: list["Split"],
    configs: dict[str, list[dict[str, str]]],
    overwrite: bool,
    scratch: Path,
) -> None:
    """Adds README.md to `outgoing`, written to `scratch`; one that somebody wrote by hand stays, without `overwrite`.

    Args:
        outgoing: the data set's files.
        repo_id: the name by which the card's code reads it.
        facts: what the user says.
        form: "folder", "webdataset" or "parquet".
        splits: the manifests.
        configs: of each configuration the splits, and the files in which they lie.
        overwrite: replace a README.md that somebody wrote by hand.
        scratch: where the file is written.
    """
    written, old = card_to_update(outgoing, overwrite)
    if not written:
        return
    if facts.about and old is not None and ABOUT not in old:
        outgoing.notes.append(
            "README.md: has no section on the data, and gets none (--overwrite-card writes the card anew)"
        )
    rows = [row for split in splits for row in split.rows]
    stated = {
        "license": facts.license,
        "license_name": facts.license_name,
        "license_link": facts.license_link,
        "language": list(facts.languages) or None,
        "pretty_name": repo_id.partition("/")[2],
        "task_categories": ["video-text-to-text"],
        "size_categories": [next((name for limit, name in SIZES.items() if len(rows) < limit), "n>10M")],
        "tags": list(dict.fromkeys([*metadata_of(old).get("tags", []), "favor", "audio-visual"])),
        "configs": [{"config_name": name, "data_files": files} for name, files in configs.items()],
    }
    metadata = DatasetCardData(
        **metadata_of(old) | {name: value for name, value in stated.items() if value is not None}
    )
    body = card_template("dataset_card.md.jinja").render(
        name=repo_id.partition("/")[2],
        repo_id=repo_id,
        form=form,
        splits=[_split_row(split) for split in splits],
        configs=list(configs),
        kinds=tuple(key for key in MEDIA_KEYS if any(row.get(key) for row in rows)),
        undecoded=_undecoded(splits),
        features=", ".join(sorted({feature for _, feature in _undecoded(splits)})),
        fields=_fields(rows),
        counts=[table for name in COUNTED if (table := _count_table(rows, name))],
        licence=_licence(facts),
        languages=", ".join(facts.languages),
        source=facts.source,
        about=section_text(facts.about) if facts.about else None,
    )
    write_changed(outgoing, "README.md", card_text(old, metadata, body), scratch)


def _split_row(split: "Split") -> dict[str, str]:
    return {
        "name": split.name,
        "rows": f"{len(split.rows):,}",
        "media": f"{len(split.media):,}",
        "bytes": f"{split.size:,}",
    }


def _undecoded(splits: list["Split"]) -> list[tuple[str, str]]:
    """The media columns of the first WebDataset configuration, and the type that `load_dataset` gives each."""
    rows = [row for row in splits[0].rows if row.get("video")] or splits[0].rows
    media = {key: PurePath(rows[0][key]).suffix.lstrip(".").lower() for key in MEDIA_KEYS if rows[0].get(key)}
    return [(suffix, FEATURES[key]) for key, suffix in media.items()]


def _fields(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    fields = []
    for name in names:
        having = [row[name] for row in rows if row.get(name) is not None]
        example = json.dumps(having[0], ensure_ascii=False) if having else "null"
        if len(example) > LONGEST_EXAMPLE:
            example = example[: LONGEST_EXAMPLE - 3] + "..."
        fields.append(
            {"name": name, "count": f"{len(having):,}", "example": f"`{example.replace('|', chr(92) + '|')}`"}
        )
    return fields


def _count_table(rows: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    values = Counter(row[name] for row in rows if isinstance(row.get(name), str))
    if not 1 < len(values) <= MOST_VALUES:
        return None
    return {"name": name, "rows": [(value, f"{count:,}") for value, count in sorted(values.items())]}


def _licence(facts: DatasetFacts) -> str:
    name = facts.license_name or facts.license
    return f"[{name}]({facts.license_link})" if facts.license_link else name
