# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The repositories of the stand-in Hub: commits, branches, pull requests and large files. Standard library only.

A commit is a complete list of files. It appears whole or not at all, as on the Hub: contents arrive first, and a
commit that names a large file whose content never arrived is refused.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LARGE_SUFFIXES = (".safetensors", ".bin", ".mp4", ".wav", ".png", ".jpg", ".parquet", ".tar", ".zip")
LARGEST_REGULAR_FILE = 10_000_000  # bytes
RELATIONS = {"finetune", "adapter", "merge", "quantized"}
LICENSES = {"apache-2.0", "mit", "cc-by-4.0", "cc-by-sa-4.0", "cc0-1.0", "llama2", "gpl-3.0", "unknown", "other"}
PIPELINE_TAGS = {"video-text-to-text", "text-generation", "image-text-to-text", "any-to-any"}


class Refusal(Exception):
    """An answer other than success: HTTP status, the Hub's error code and its message."""

    def __init__(self, status: int, message: str, code: str | None = None, commit: str | None = None):
        super().__init__(message)
        self.status, self.code, self.message, self.commit = status, code, message, commit


@dataclass(frozen=True)
class StoredFile:
    """`oid`: git's SHA-1 of a regular file, the SHA-256 of a large one."""

    oid: str
    size: int
    large: bool


@dataclass
class Commit:
    oid: str
    title: str
    files: dict[str, StoredFile]


@dataclass
class Repository:
    kind: str  # "model" or "dataset"
    name: str  # "org/name"
    private: bool
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)  # name, or refs/pr/N: commit

    def commit(self, revision: str) -> Commit:
        oid = self.branches.get(revision, revision)
        if oid not in self.commits:
            raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.commits[oid]

    def add_commit(self, branch: str, title: str, files: dict[str, StoredFile]) -> Commit:
        parent = self.branches.get(branch, "")
        text = f"{self.name}{parent}{title}{sorted(files.items())}{len(self.commits)}"
        commit = Commit(hashlib.sha1(text.encode()).hexdigest(), title, files)
        self.commits[commit.oid] = commit
        self.branches[branch] = commit.oid
        return commit


class HubStore:
    """All repositories, and the contents of their files in `folder`.

    Args:
        folder: where contents are kept, by hash.
        read_yaml: parses a card's metadata (`yaml.safe_load`); without it metadata are only looked for.
    """

    def __init__(self, folder: Path, read_yaml: Callable[[str], Any] | None = None):
        self.folder, self.read_yaml = folder, read_yaml
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.lock = threading.RLock()
        folder.mkdir(parents=True, exist_ok=True)

    # -- repositories

    def create(self, kind: str, name: str, private: bool) -> bool:
        """False if there is such a repository already."""
        with self.lock:
            if (kind, name) in self.repositories:
                return False
            repository = self.repositories[kind, name] = Repository(kind, name, private)
            repository.add_commit("main", "initial commit", {".gitattributes": self.keep(b"* text=auto\n")})
            return True

    def repository(self, kind: str, name: str) -> Repository:
        if (kind, name) not in self.repositories:
            raise Refusal(404, "Repository not found", "RepoNotFound")
        return self.repositories[kind, name]

    def file(self, repository: Repository, revision: str, path: str) -> tuple[Commit, StoredFile]:
        commit = repository.commit(revision)
        if path not in commit.files:
            raise Refusal(404, f"Entry not found: {path}", "EntryNotFound", commit.oid)
        return commit, commit.files[path]

    def tree(self, repository: Repository, revision: str, folder: str, recursive: bool) -> list[dict]:
        commit = repository.commit(revision)
        prefix = f"{folder.rstrip('/')}/" if folder else ""
        inside = {path: file for path, file in commit.files.items() if path.startswith(prefix)}
        if folder and not inside:
            raise Refusal(404, f"{folder} does not exist on {revision}", "EntryNotFound", commit.oid)
        entries, folders = [], set()
        for path, file in sorted(inside.items()):
            *parents, last = path.removeprefix(prefix).split("/")
            folders |= {prefix + "/".join(parents[: depth + 1]) for depth in range(len(parents))}
            if recursive or not parents:
                entries.append(listed(path, file))
        shown = folders if recursive else {name for name in folders if "/" not in name.removeprefix(prefix)}
        return [{"type": "directory", "oid": "0" * 40, "size": 0, "path": name} for name in sorted(shown)] + entries

    # -- contents

    def keep(self, content: bytes) -> StoredFile:
        oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        (self.folder / oid).write_bytes(content)
        return StoredFile(oid, len(content), large=False)

    def has_large(self, oid: str) -> bool:
        return len(oid) == 64 and (self.folder / oid).is_file()

    def keep_large(self, oid: str, content: bytes) -> None:
        if hashlib.sha256(content).hexdigest() != oid:
            raise Refusal(400, f"The content of {oid} has another SHA-256: upload it again.")
        (self.folder / oid).write_bytes(content)

    def forget_large(self) -> None:
        """Loses all large contents, so that clients send them again."""
        for file in self.folder.iterdir():
            if self.has_large(file.name):
                file.unlink()

    def content(self, file: StoredFile) -> bytes:
        return (self.folder / file.oid).read_bytes()

    # -- commits

    def upload_mode(self, repository: Repository, revision: str, file: dict) -> dict:
        known = repository.commit(revision).files.get(file["path"])
        large = file["path"].endswith(LARGE_SUFFIXES) or file["size"] > LARGEST_REGULAR_FILE
        mode = {"path": file["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
        return mode | ({"oid": known.oid} if known else {})

    def apply(self, repository: Repository, revision: str, lines: bytes, as_pull_request: bool) -> dict:
        """Makes one commit of the lines of a commit request; returns what the Hub answers."""
        operations = [json.loads(line) for line in lines.splitlines() if line.strip()]
        header = next(entry["value"] for entry in operations if entry["key"] == "header")
        with self.lock:
            base = repository.commit(revision)
            if header.get("parentCommit") not in (None, base.oid):
                raise Refusal(412, "A commit has happened since. Please refresh and try again.")
            if not as_pull_request and revision not in repository.branches:
                raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
            files = dict(base.files)
            for entry in operations:
                self._apply_one(files, entry["key"], entry["value"])
            branch = revision
            if as_pull_request:
                branch = f"refs/pr/{1 + sum(name.startswith('refs/pr/') for name in repository.branches)}"
            commit = repository.add_commit(branch, header["summary"], files)
        answer = {"success": True, "commitOid": commit.oid, "commitUrl": f"/{repository.name}/commit/{commit.oid}"}
        if as_pull_request:
            answer["pullRequestUrl"] = f"/{repository.name}/discussions/{branch.rpartition('/')[2]}"
        return answer

    def _apply_one(self, files: dict[str, StoredFile], key: str, value: dict) -> None:
        path = value.get("path", "")
        if key == "file":
            files[path] = self.keep(base64.b64decode(value["content"]))
        elif key == "lfsFile":
            if not self.has_large(value["oid"]):
                raise Refusal(400, f"Large file {path} ({value['oid']}) was not uploaded.")
            files[path] = StoredFile(value["oid"], (self.folder / value["oid"]).stat().st_size, large=True)
        elif key == "deletedFile":
            files.pop(path, None)
        elif key == "deletedFolder":
            for name in [name for name in files if name.startswith(path.rstrip("/") + "/")]:
                del files[name]

    # -- metadata

    def info(self, repository: Repository, revision: str) -> dict:
        commit = repository.commit(revision)
        card = self.metadata(repository, commit)
        tags = [*card.get("tags", [])] if isinstance(card, dict) else []
        return {
            "_id": hashlib.sha1(repository.name.encode()).hexdigest()[:24],
            "id": repository.name,
            "modelId": repository.name,
            "author": repository.name.partition("/")[0],
            "sha": commit.oid,
            "private": repository.private,
            "gated": False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "lastModified": "2026-11-21T00:00:00.000Z",
            "createdAt": "2026-11-21T00:00:00.000Z",
            "tags": tags,
            "cardData": card,
            "pipeline_tag": card.get("pipeline_tag"),
            "library_name": card.get("library_name"),
            "evalResults": self._eval_results(commit),
            "siblings": [
                {"rfilename": path, "size": file.size, "blobId": file.oid}
                for path, file in sorted(commit.files.items())
            ],
        }

    def metadata(self, repository: Repository, commit: Commit) -> dict:
        readme = commit.files.get("README.md")
        found = front_matter(self.content(readme).decode()) if readme else None
        return (self.read_yaml(found) or {}) if found and self.read_yaml else {}

    def _eval_results(self, commit: Commit) -> list[dict]:
        results = []
        for path, file in commit.files.items():
            if path.startswith(".eval_results/") and path.endswith(".yaml") and self.read_yaml:
                entries = self.read_yaml(self.content(file).decode())
                results += [{"filename": path, "data": entry} for entry in entries]
        return results

    def card_errors(self, content: str, kind: str) -> list[str]:
        """What the Hub finds wrong with a card's metadata."""
        found = front_matter(content)
        if found is None or self.read_yaml is None:
            return []
        try:
            data = self.read_yaml(found)
        except Exception as error:
            return [f"YAML cannot be read: {error}"]
        if not isinstance(data, dict):
            return ["metadata must be a mapping"]
        return model_card_errors(data) if kind == "model" else dataset_card_errors(data)


def front_matter(content: str) -> str | None:
    match = re.match(r"\A---\r?\n(.*?)\r?\n---(\r?\n|\Z)", content, re.DOTALL)
    return match[1] if match else None


def listed(path: str, file: StoredFile) -> dict:
    entry: dict[str, Any] = {"type": "file", "oid": file.oid[:40], "size": file.size, "path": path}
    if file.large:
        entry["lfs"] = {"oid": file.oid, "size": file.size, "pointerSize": 130}
    return entry


def model_card_errors(data: dict) -> list[str]:
    """A choice of the Hub's rules for a model's metadata."""
    bases = data.get("base_model", [])
    bases = [bases] if isinstance(bases, str) else bases
    errors = [f'"base_model" {name!r} is no repository id' for name in bases if not is_repository_id(name)]
    errors += common_errors(data)
    if data.get("pipeline_tag") not in PIPELINE_TAGS | {None}:
        errors.append(f'"pipeline_tag" {data["pipeline_tag"]!r} is not known')
    if data.get("base_model_relation") not in RELATIONS | {None}:
        errors.append(f'"base_model_relation" must be one of {sorted(RELATIONS)}')
    for model in data.get("model-index", []):
        for result in model["results"]:
            if not {"task", "dataset", "metrics"} <= set(result) or "type" not in result["task"]:
                errors.append('"model-index" results need task, dataset and metrics')
            elif not {"type", "name"} <= set(result["dataset"]):
                errors.append('"model-index" datasets need type and name')
            elif any(not {"type", "value"} <= set(metric) for metric in result["metrics"]):
                errors.append('"model-index" metrics need type and value')
    return errors


def dataset_card_errors(data: dict) -> list[str]:
    """A choice of the Hub's rules for a dataset's metadata."""
    errors = common_errors(data)
    for entry in data.get("configs", []):
        if not isinstance(entry.get("config_name"), str) or not entry.get("data_files"):
            errors.append('"configs" need config_name and data_files')
    categories = data.get("size_categories", [])
    errors += [f'"size_categories" {value!r} is not known' for value in categories if not re.match(r"n<1K|\d", value)]
    return errors


def common_errors(data: dict) -> list[str]:
    errors = []
    if data.get("license") not in LICENSES | {None}:
        errors.append(f'"license" must be one of {sorted(LICENSES)}, not {data["license"]!r}')
    if data.get("license") == "other" and not data.get("license_name"):
        errors.append('"license: other" needs license_name')
    languages = data.get("language", [])
    languages = [languages] if isinstance(languages, str) else languages
    errors += [f'"language" {code!r} is no ISO 639 code' for code in languages if not re.fullmatch("[a-z]{2,3}", code)]
    names = data.get("datasets", [])
    errors += [f'"datasets" {name!r} is no repository id' for name in names if not is_repository_id(name)]
    return errors


def is_repository_id(name: Any) -> bool:
    return isinstance(name, str) and re.fullmatch(r"[\w.-]+/[\w.-]+", name) is not None
