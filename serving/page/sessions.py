# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Keeps users apart: each browser tab has its own clip, conversation and running answer, gone when the tab closes."""

import contextlib
import copy
import mimetypes
import os
import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .perception import Perception, perceive

MAX_SESSIONS = 64  # beyond it the tab that was idle longest loses its clip: this bounds the disk that uploads take


@dataclass(frozen=True)
class Clip:
    """One file that a user talks about: where it lies, what its user calls it, and what the model perceives of it."""

    path: Path
    name: str
    perception: Perception


@dataclass
class Session:
    """One browser tab.

    Attributes:
        clip: what is talked about; None before the first upload.
        shown: the chat as the page shows it.
        turns: (question, answer) pairs that the model is reminded of.
        heard: whether the turns were asked with sound.
        answer: the running answer; None when there is none.
        upload: the web server's own copy of the clip's file, until the page shows ours.
    """

    clip: Clip | None = None
    shown: list[dict[str, Any]] = field(default_factory=list)
    turns: list[tuple[str, str]] = field(default_factory=list)
    heard: bool = True
    answer: Any = None
    upload: Path | None = None

    def stop(self) -> None:
        """Ends the running answer early."""
        answer = self.answer
        if answer is not None:
            answer.cancel()

    def begin_anew(self) -> None:
        """Forgets the conversation."""
        self.stop()
        self.shown, self.turns = [], []

    def discard_upload(self) -> None:
        """Removes the web server's copy."""
        upload, self.upload = self.upload, None
        if upload is not None:
            upload.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # its folder, if it is its own
                upload.parent.rmdir()

    def forget(self) -> None:
        """Forgets the conversation and the clip, whose file is removed."""
        self.begin_anew()
        self.discard_upload()
        clip, self.clip = self.clip, None
        if clip is not None:
            shutil.rmtree(clip.path.parent, ignore_errors=True)


class Sessions:
    """
    All open tabs, by the name that Gradio gives to each.

    A clip lies in a folder of its own, whose random name is known to its tab alone: the web server hands a file to
    whoever can name it.

    Args:
        folder: where clips are kept; made if missing.
        processor: the model's, which tells what the model perceives.
        media_limits: bounds on what a file may cost, of `load_media`.
    """

    def __init__(self, folder: Path, processor: Any, media_limits: Mapping[str, Any] | None = None):
        self.folder = folder
        self.processor = processor
        self.media_limits = dict(media_limits or {})
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def __len__(self) -> int:
        return len(self._sessions)

    def of(self, name: str) -> Session:
        """The session of a tab, a new one at its first request."""
        with self._lock:
            session = self._sessions.setdefault(name, Session())
            self._sessions.move_to_end(name)
            idle = self._sessions.popitem(last=False)[1] if len(self._sessions) > MAX_SESSIONS else None
        if idle is not None:
            idle.forget()
        return session

    def end(self, name: str) -> None:
        """Forgets a tab that was closed, and its file."""
        with self._lock:
            session = self._sessions.pop(name, None)
        if session is not None:
            session.forget()

    def take(self, name: str, file: Path, title: str, uploaded: bool = True) -> Clip:
        """
        Makes `file` the clip of a tab; the one before is removed.

        Args:
            name: of the tab.
            file: an upload or an example, on the same disk as `folder`.
            title: what its user calls it.
            uploaded: whether `file` is to be removed with `Session.discard_upload`, at the latest with the clip.

        Raises:
            ValueError: if it cannot be used. The message says `title`, not where it lay.
            OSError: if it has gone meanwhile.
        """
        session = self.of(name)
        session.forget()
        if file.exists() and (file.is_symlink() or not file.is_file()):
            raise ValueError(f"{title} is no file.")
        session.upload = file if uploaded else None
        folder = self.folder / secrets.token_urlsafe(24)
        folder.mkdir(mode=0o700)
        path = folder / f"clip{_media_suffix(file)}"
        try:
            os.link(file, path)  # the page still reads the upload; the disk holds it once
            clip = Clip(path, title, self._perceive(path))
        except Exception as error:
            shutil.rmtree(folder, ignore_errors=True)
            session.discard_upload()
            if isinstance(error, FileNotFoundError):
                raise FileNotFoundError(f"{title} is no longer here: upload it again.") from None
            if isinstance(error, (ValueError, OSError)):
                raise ValueError(str(error).replace(str(path), title)) from error
            raise
        with self._lock:  # meanwhile the tab may have been closed, or have taken another file
            open_still = self._sessions.get(name) is session
            replaced, session.clip = session.clip, clip
        if replaced is not None:
            shutil.rmtree(replaced.path.parent, ignore_errors=True)
        if not open_still:
            session.forget()
        return clip

    def perception(self, clip: Clip, with_sound: bool) -> Perception:
        """What the model perceives of a clip with or without sound. The sound is there in any case, to be drawn."""
        if with_sound or clip.perception.kind != "video":
            return clip.perception
        # A muted video may be shorter: its pictures do not last as long as the sound does.
        return replace(self._perceive(clip.path, with_sound=False), loudness=clip.perception.loudness)

    def _perceive(self, path: Path, with_sound: bool = True) -> Perception:
        """By a copy of the processor, since tokenizers must not be used by two threads at a time."""
        return perceive(copy.deepcopy(self.processor), path, self.media_limits, with_sound)


def _media_suffix(file: Path) -> str:
    """The file's suffix, or none if by it a browser would be told that the file is no media but, say, a page."""
    told, _ = mimetypes.guess_type(f"clip{file.suffix.lower()}")
    is_media = told is not None and told.startswith(("video/", "image/", "audio/")) and not told.endswith("xml")
    return file.suffix.lower() if is_media else ""
