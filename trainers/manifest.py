# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Reads training manifests: one JSON line a sample, media paths relative to the file."""

import json
import random
from pathlib import Path
from typing import Any

from datasets import Dataset

MEDIA_KEYS = ("video", "image", "audio")
RELEASED_ROLES = {"human": "user", "gpt": "assistant"}


def load_manifest(path: str | Path, limit: int | None = None) -> Dataset:
    """A manifest as a dataset of `messages` and absolute media paths.

    Each line is `{"messages": [...], "video": "a.mp4", "audio": "b.wav", "image": "c.jpg"}` with any subset of the
    media keys; no `audio` key:
    the video's own sound is used; `"audio": null`: none. Released FAVOR files (`image_name` and `conversation` of
    `from`/`value`) load,
    too. Media are opened when a batch is made, not here.

    Columns: `messages`, `video`, `image`, `audio` (paths or None), `use_own_audio` (False where `"audio": null`
        stands), and
    `streams`, `family` and `scene` where given.

    Raises `ValueError` that names the file and line of a broken sample, and of a media file that does not exist.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such manifest; give a .jsonl file.")
    rows: list[dict] = []
    for number, sample in enumerate(read_samples(path), start=1):
        if limit is not None and len(rows) >= limit:
            break
        rows.append(normalise_sample(sample, path, number))
    if not rows:
        raise ValueError(f"{path}: the manifest holds no sample.")
    return Dataset.from_list(rows)


def read_samples(path: Path) -> list[dict]:
    """The samples of a .jsonl manifest or of a released .json list."""
    text = path.read_text(encoding="utf-8")
    try:
        if path.suffix == ".json":
            return json.loads(text)
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not valid JSON ({error}); write one JSON object a line.") from error


def normalise_sample(sample: dict, manifest: Path, number: int) -> dict:
    """One sample with absolute paths and chat messages."""
    where = f"{manifest}, sample {number}"
    if "conversation" in sample:
        sample = {
            "messages": [
                {"role": RELEASED_ROLES.get(turn["from"], turn["from"]), "content": turn["value"]}
                for turn in sample["conversation"]
            ],
            **released_media(sample.get("image_name"), where),
        }
    messages = sample.get("messages")
    if not messages or any(not isinstance(turn.get("content"), str) for turn in messages):
        raise ValueError(f"{where}: `messages` must be a non-empty list of turns whose content is a string.")
    if not any(turn["role"] == "assistant" for turn in messages):
        raise ValueError(f"{where}: no assistant turn, so there is nothing to learn; add the answer.")
    row: dict[str, Any] = {"messages": [{"role": turn["role"], "content": turn["content"]} for turn in messages]}
    for key in MEDIA_KEYS:
        value = sample.get(key)
        row[key] = None if value is None else str((manifest.parent / value).resolve())
        if row[key] is not None and not Path(row[key]).is_file():
            raise ValueError(f"{where}: {key} file {value} does not exist beside the manifest.")
    row["use_own_audio"] = not ("audio" in sample and sample["audio"] is None)
    for key in ("streams", "family", "scene"):
        if key in sample:
            row[key] = sample[key]
    return row


def released_media(image_name: str | list[str] | None, where: str) -> dict[str, str]:
    """Released files name their media in `image_name`; the suffix tells which stream each is."""
    media = {}
    for name in [image_name] if isinstance(image_name, str) else image_name or []:
        suffix = Path(name).suffix.lower()
        if suffix in (".wav", ".flac", ".mp3", ".ogg", ".m4a"):
            media["audio"] = name
        elif suffix in (".jpg", ".jpeg", ".png", ".webp"):
            media["image"] = name
        elif suffix:
            media["video"] = name
        else:
            raise ValueError(
                f"{where}: cannot tell from {name!r} whether it is video, image or sound; add its suffix."
            )
    return media


def keep_shares(dataset: Dataset, shares: dict[str, float], seed: int) -> Dataset:
    """Keeps a random share of each question family, and all of the families that are not named.

    Args:
        dataset: with a `family` column.
        shares: from 0 to 1, by family.
        seed: of the choice.

    Raises `ValueError` for a share outside 0 to 1, and for a family that the dataset does not have.
    """
    families = dataset["family"] if "family" in dataset.column_names else []
    unknown = set(shares) - set(families)
    if unknown:
        raise ValueError(f"The data has no family {', '.join(sorted(unknown))}; it has {sorted(set(families))}.")
    if any(not 0 <= share <= 1 for share in shares.values()):
        raise ValueError(f"Shares must lie between 0 and 1, but they are {shares}.")
    rng = random.Random(seed)
    kept = [number for number, family in enumerate(families) if rng.random() < shares.get(family, 1.0)]
    return dataset.select(kept) if shares else dataset
