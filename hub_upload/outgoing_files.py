# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Which files of a folder go to the Hub, and the check that none gives away a secret or a path of this machine.

What is not on the list stays here: training_args.bin, optimizer states, checkpoints, logs, notebooks, keys, caches.
"""

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from favor import modeling_favor, processing

from .json_values import Json
from .secrets_in_text import secret_in

OWN_CODE = [Path(str(room.__file__)).resolve().parent for room in (modeling_favor, processing)]
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)
MODEL_FILES = (
    "model.safetensors",
    "model-*-of-*.safetensors",
    "model.safetensors.index.json",
    "adapter_model.safetensors",
    "adapter_config.json",
    "config.json",
    "generation_config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "chat_template.jinja",
    "*_favor.py",
    "architecture.png",
    ".eval_results/*.yaml",
    "README.md",
    "requirements.txt",
    "LICENSE",
    "NOTICE",
    "LICENSES/*.txt",
    *TOKENIZER_FILES,
    *(f"qformer_tokenizer/{name}" for name in TOKENIZER_FILES),
)
TEXT_SUFFIXES = {".json", ".jsonl", ".md", ".py", ".jinja", ".txt", ".yaml", ".yml", ".csv", ".model", ""}
HOME_OF_SOMEONE = re.compile(r"/(?:home|Users)/[\w.-]+/")
ORIGIN_FIELDS = ("_name_or_path", "name_or_path")  # where a part was loaded from: no use to others


@dataclass(frozen=True)
class OutgoingFile:
    """`path`: in the repository. `source`: on this machine."""

    path: str
    source: Path

    @property
    def size(self) -> int:
        return self.source.stat().st_size


@dataclass
class Outgoing:
    """What an upload consists of: files, names left out with the reason, and what the user should know."""

    files: list[OutgoingFile] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    def put(self, path: str, source: Path) -> None:
        """Adds a file, in place of one of the same path."""
        self.files = sorted(
            [file for file in self.files if file.path != path] + [OutgoingFile(path, source)], key=_path
        )

    def source(self, path: str) -> Path | None:
        return next((file.source for file in self.files if file.path == path), None)


def _path(file: OutgoingFile) -> str:
    return file.path


def is_allowed(path: str, allowed: Iterable[str]) -> bool:
    """Whether a path in the repository matches one of the patterns, whose `*` stays within one folder."""
    return any(path.count("/") == pattern.count("/") and fnmatchcase(path, pattern) for pattern in allowed)


def outgoing_files(folder: Path, allowed: Iterable[str]) -> Outgoing:
    """The files of `folder` that match `allowed`. Folders none of whose files go are named once.

    Raises `ValueError` if one of them is a link out of the folder.
    """
    allowed = tuple(allowed)
    outgoing = Outgoing()
    skipped: set[str] = set()
    for root, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            source = Path(root) / name
            path = source.relative_to(folder).as_posix()
            if is_allowed(path, allowed) and source.is_file():
                check_inside(source, folder)
                outgoing.files.append(OutgoingFile(path, source))
            else:
                skipped.add(path)
    outgoing.files.sort(key=_path)
    parents = {file.path.partition("/")[0] for file in outgoing.files}
    named = {path if (top := path.partition("/")[0]) in parents or top == path else f"{top}/" for path in skipped}
    outgoing.left_out = sorted(named)
    return outgoing


def check_inside(source: Path, folder: Path) -> None:
    """Raises `ValueError` if a file is a link out of its folder, except to this package's own code."""
    target = source.resolve()
    if not any(target.is_relative_to(place) for place in (folder.resolve(), *OWN_CODE)):
        raise ValueError(
            f"{source} is a link to a file outside {folder}: nothing was uploaded. If it is to be published, put a "
            "copy in its place."
        )


def forget_origins(outgoing: Outgoing, scratch: Path) -> None:
    """Takes out of JSON settings from where they were loaded; the changed copies are written to `scratch`."""
    for file in list(outgoing.files):
        if not file.path.endswith("_config.json") and file.path != "config.json":
            continue
        content = read_json(file.source)
        kept = _without_origins(content)
        if kept != content:
            write_changed(outgoing, file.path, json.dumps(kept, indent=2, sort_keys=True) + "\n", scratch)


def write_changed(outgoing: Outgoing, path: str, text: str | bytes, scratch: Path) -> None:
    """Writes a file of the upload to `scratch`, in place of the one of the folder."""
    target = scratch / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
    outgoing.put(path, target)


def check_contents(outgoing: Outgoing, token: str | None, folders: Iterable[Path] = ()) -> None:
    """Raises `ValueError` with file and line if a text file holds a secret, or a path of this machine.

    Args:
        outgoing: what is to be uploaded.
        token: the user's own token.
        folders: folders whose paths must not appear, beside the home and the working directory.
    """
    machine = _machine_paths([Path.home(), Path.cwd(), *folders])
    for file in outgoing.files:
        if file.source.suffix not in TEXT_SUFFIXES:
            continue
        with file.source.open(encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, start=1):
                found = _found_in(line, token, machine)
                if found:
                    raise ValueError(
                        f"{file.source}, line {number} ({file.path}) holds {found}: take it out of the file; nothing "
                        "was uploaded."
                    )


def read_json(file: Path) -> dict[str, Json]:
    """The object in a file. Raises `ValueError` if there is none."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{file}: not valid JSON ({error}); write it again with save_pretrained.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file}: not a JSON object; write it again with save_pretrained.")
    return content


def _found_in(line: str, token: str | None, machine: re.Pattern) -> str | None:
    if token and token in line:
        return "your own token"
    secret = secret_in(line)
    if secret is not None:
        return secret
    match = machine.search(line) or HOME_OF_SOMEONE.search(line)
    return f"a path of a machine ({match[0]}...)" if match else None


def _machine_paths(folders: Iterable[Path]) -> re.Pattern:
    """Matches the folders and what is below; `/root` by itself may be a word of some vocabulary."""
    names = sorted({str(folder.resolve()) for folder in folders} - {"/"}, key=len, reverse=True)
    ends = (rf"{re.escape(name)}(?:(?=/[\w.])" + (r"|(?![\w./-]))" if name.count("/") > 1 else ")") for name in names)
    return re.compile(rf"(?<![\w.])(?:{'|'.join(ends)})" if names else r"(?!)")


def _without_origins(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _without_origins(entry) for name, entry in value.items() if name not in ORIGIN_FIELDS}
    return [_without_origins(entry) for entry in value] if isinstance(value, list) else value
