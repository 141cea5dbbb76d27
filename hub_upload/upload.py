# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Uploads a list of files as one commit, and says in one line what went wrong if it could not.

A commit appears whole or not at all: contents are sent first, and the repository changes with the last request. Run
again after a failure: large files that are there already are not sent again.
"""

import errno
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import validate_repo_id

from .outgoing_files import Outgoing, is_allowed

ATTEMPTS = 3
FIRST_PAUSE = 2.0  # seconds before the second attempt, doubled before the third
AGAIN = "Nothing was published. Run the same command again: large files that arrived are not sent again."


class UploadError(OSError):
    """An upload that failed: what happened, that nothing was published, and the remedy."""


@dataclass(frozen=True)
class Destination:
    """Where an upload goes.

    Args:
        repo_id: "org/name".
        kind: "model" or "dataset".
        public: make a new repository visible to everybody. One that exists keeps its visibility.
        revision: an existing branch; by default "main".
        create_pr: open a pull request instead of changing the branch.
        message: title of the commit.
    """

    repo_id: str
    kind: str = "model"
    public: bool = False
    revision: str | None = None
    create_pr: bool = False
    message: str | None = None

    def check(self) -> None:
        """Raises `ValueError` unless this names a repository, and a pull request is not asked for on a branch."""
        if self.repo_id.count("/") != 1:
            raise ValueError(f"{self.repo_id!r} is no repository: write ORG/NAME.")
        try:
            validate_repo_id(self.repo_id)
        except HFValidationError as error:
            raise ValueError(f"{self.repo_id!r} is no repository id: {error}") from error
        if self.create_pr and self.revision not in (None, "main"):
            raise ValueError(f"A pull request goes to main; leave out the revision {self.revision!r}, or --create-pr.")
        if self.message is not None and not self.message.strip():
            raise ValueError("The commit message is empty: leave it out, or write one.")


@dataclass(frozen=True)
class Uploaded:
    """Where a commit landed. `deleted`: files of earlier uploads that would have been mistaken for current ones."""

    url: str
    commit: str
    private: bool
    deleted: tuple[str, ...]


def upload(outgoing: Outgoing, destination: Destination, allowed: Iterable[str]) -> Uploaded:
    """
    Makes the repository if it does not exist, and one commit of `outgoing`.

    Files of the repository that match `allowed` and are not in `outgoing` are deleted in the same commit: an old
    `model.safetensors` would be loaded in place of new shards. Other files that users put there stay.

    Raises:
        ValueError: no repository id, or metadata of the card that the Hub refuses.
        UploadError: the token, the network or the Hub refused; nothing was published.
    """
    destination.check()
    api = HfApi(token=get_token())
    if api.token is None:
        raise UploadError("No token of the Hub was found: log in with `hf auth login`, or set HF_TOKEN.")
    for attempt in range(ATTEMPTS):
        try:
            return _attempt(api, outgoing, destination, tuple(allowed))
        except Exception as error:
            # a pull request that was opened although its answer got lost would be opened twice
            if not _is_passing(error) or destination.create_pr or attempt == ATTEMPTS - 1:
                raise _explained(error, destination, api.token) from error
            time.sleep(FIRST_PAUSE * 2**attempt)
    raise AssertionError("the last attempt returns or raises")


def _attempt(api: HfApi, outgoing: Outgoing, destination: Destination, allowed: tuple[str, ...]) -> Uploaded:
    repo_id, kind = destination.repo_id, destination.kind
    api.create_repo(repo_id, repo_type=kind, private=not destination.public, exist_ok=True)
    # the branch as it is now: two uploads at a time end in an error, not in a mixture
    info = api.repo_info(repo_id, repo_type=kind, revision=destination.revision)
    present = {file.rfilename for file in info.siblings or []}
    _check_same_form(present, outgoing, destination)
    paths = {file.path for file in outgoing.files}
    stale = sorted(path for path in present - paths if is_allowed(path, allowed))
    additions = [CommitOperationAdd(path_in_repo=file.path, path_or_fileobj=file.source) for file in outgoing.files]
    commit = api.create_commit(
        repo_id,
        operations=[*additions, *(CommitOperationDelete(path_in_repo=path, is_folder=False) for path in stale)],
        commit_message=destination.message or f"Upload {kind}",
        repo_type=kind,
        revision=destination.revision,
        create_pr=destination.create_pr,
        parent_commit=info.sha,
    )
    page = f"{api.endpoint}/{'datasets/' if kind == 'dataset' else ''}{repo_id}"
    return Uploaded(commit.pr_url or page, commit.oid, bool(info.private), tuple(stale))


def _check_same_form(present: set[str], outgoing: Outgoing, destination: Destination) -> None:
    """An adapter must not replace a whole model, nor a model an adapter, that others load by this name."""
    new = {file.path for file in outgoing.files}
    for mine, other, what in (
        ("adapter_config.json", "config.json", "a whole model, and this is an adapter"),
        ("config.json", "adapter_config.json", "an adapter, and this is a whole model"),
    ):
        if destination.kind == "model" and mine in new and other not in new and other in present:
            raise ValueError(f"{destination.repo_id} holds {what}: name another repository.")


# -- what went wrong


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and all that led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int | None:
    """The HTTP status at the root of an error, if any."""
    for cause in causes(error):
        if isinstance(cause, HfHubHTTPError) and cause.response is not None:
            return cause.response.status_code
    return None


def _is_passing(error: BaseException) -> bool:
    """Whether trying again may help: no answer, or an error of the server."""
    status = _status(error)
    if status is not None:
        return status >= 500 or status == 409
    return any(isinstance(cause, HTTPError) for cause in causes(error))


def _explained(error: Exception, destination: Destination, token: str) -> Exception:
    """The error as one line with a remedy; the token appears in none of them."""
    repo_id, status = destination.repo_id, _status(error)
    said = redacted(_server_message(error), token)
    if isinstance(error, ValueError) and status is None:
        return ValueError(redacted(str(error), token))
    if any(isinstance(cause, OfflineModeIsEnabled) for cause in causes(error)):
        return UploadError("HF_HUB_OFFLINE is set, so nothing can be uploaded: unset it.")
    if any(isinstance(cause, OSError) and cause.errno == errno.ENOSPC for cause in causes(error)):
        return UploadError(f"The disk is full ({redacted(str(error), token)}): make room. {AGAIN}")
    if any(isinstance(cause, RevisionNotFoundError) for cause in causes(error)):
        branch = destination.revision
        return UploadError(
            f"{repo_id} has no branch {branch!r}: make it (`hf repos branch create {repo_id} {branch}`) or leave out "
            "the revision. Nothing was published."
        )
    if any(isinstance(cause, RepositoryNotFoundError) for cause in causes(error)) and status == 404:
        return UploadError(f"{repo_id} does not exist, or this token may not see it. Nothing was published.")
    remedies = {
        401: "The Hub does not accept the token; it may have expired: log in again (`hf auth login`), or set HF_TOKEN",
        403: f"This token may not write to {repo_id}: take one with the role 'write' for that organisation",
        409: f"The Hub is busy with another change of {repo_id}",
        412: f"{repo_id} was changed by somebody else at the same time",
        413: "The Hub found the upload too large",
        429: "The Hub asks for a pause, because of too many requests",
    }
    if status in remedies:
        return UploadError(f"{remedies[status]} ({status}: {said}). {AGAIN}")
    if status is not None and status >= 500:
        return UploadError(f"The Hub failed ({status}: {said}), {ATTEMPTS} times. {AGAIN}")
    if status is None and _is_passing(error):
        return UploadError(f"The connection to the Hub failed {ATTEMPTS} times ({said}). {AGAIN}")
    return UploadError(f"The upload to {repo_id} failed ({said}). {AGAIN}")


def _server_message(error: BaseException) -> str:
    """What the server, or the network, said in the end."""
    for cause in causes(error):
        if isinstance(cause, HfHubHTTPError):
            return cause.server_message or str(cause).strip().splitlines()[0]
    root = list(causes(error))[-1]
    return " ".join(str(root).split()) or type(root).__name__


def redacted(text: str, token: str | None) -> str:
    """`text` without anything that looks like a token of the Hub."""
    if token:
        text = text.replace(token, "hf_***")
    return re.sub(r"\bhf_[A-Za-z0-9]{8,}", "hf_***", text)
