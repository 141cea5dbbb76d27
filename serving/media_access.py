# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Which media a request may name: `data:` URLs, and files of one folder. Nothing is ever fetched from a network."""

import binascii
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .request_errors import RequestError, shortened

BASE64_MARK = re.compile(r";\s*base64\s*,", re.IGNORECASE)
LONGEST_HEAD = 4096  # characters of a data: URL before its data
SHOWN = 80  # characters of an address in messages
SLICE = 1 << 22  # characters of base64 decoded in one go: others may run in between, and no copy of all is needed


class MediaAccess:
    """
    Turns the address of a media block into bytes, or into the path of a file inside the folder.

    Args:
        folder: the only one whose files may be named; None: no file may.

    Raises `OSError` if the folder does not exist.
    """

    def __init__(self, folder: Path | None = None):
        self.folder = None if folder is None else folder.resolve(strict=True)
        if self.folder is not None and not self.folder.is_dir():
            raise NotADirectoryError(f"{folder} is not a folder.")

    def source(self, address: str) -> Path | bytes:
        """What an address stands for.

        Raises `RequestError` for one that is refused; a file outside the folder is not told from a missing one.
        """
        if address[:5].lower() == "data:":
            return _data(address)
        try:
            scheme = urlsplit(address).scheme.lower() if "://" in address[:SHOWN] else ""
        except ValueError:  # such as "http://["
            raise _refused(f"{_shown(address)} is no address.", "invalid_address") from None
        if scheme not in ("", "file"):
            raise _refused(
                f"{_shown(address)} is not fetched: this server opens no connections. Send the file as a base64 data: "
                "URL.",
                "remote_media_refused",
            )
        if self.folder is None:
            raise _refused(
                f"{_shown(address)} is refused: this server was started without a media folder. Send the file as a "
                "base64 data: URL.",
                "file_refused",
            )
        path = self._file(address, scheme)
        if path is None:
            raise _refused(f"{_shown(address)} is no file in this server's media folder.", "file_refused")
        return path

    def without_folder(self, message: str) -> str:
        """A message that does not tell where the folder is."""
        return message if self.folder is None else message.replace(f"{self.folder}/", "")

    def _file(self, address: str, scheme: str) -> Path | None:
        """The file itself, after all symbolic links and `..`, if it lies in the folder."""
        folder, path = self.folder, address
        if scheme:
            parts = urlsplit(address)
            if parts.netloc not in ("", "localhost"):
                return None
            path = unquote(parts.path)
        try:
            resolved = (folder / path).resolve(strict=True)  # type: ignore[operator]
            return resolved if resolved.is_relative_to(folder) and resolved.is_file() else None  # type: ignore[arg-type]
        except (OSError, ValueError, RuntimeError):  # no such file; a null byte, a loop of links
            return None


def _data(address: str) -> bytes:
    # Parameters may hold commas, as in "data:video/webm;codecs=vp8,opus;base64,...": the mark ends them, not a comma.
    mark = BASE64_MARK.search(address, 0, LONGEST_HEAD)
    if mark is None:
        raise _refused(f"{_shown(address)} is refused: only base64 data: URLs are read.", "invalid_data_url")
    return base64_bytes(address, mark.end())


def base64_bytes(text: str, start: int = 0) -> bytes:
    """The bytes that base64 text stands for, from its character `start` on.

    Raises `RequestError`.
    """
    found = bytearray()
    try:
        for begin in range(start, len(text), SLICE):
            part = text[begin : begin + SLICE]
            if part.endswith("=") and begin + SLICE < len(text):
                raise binascii.Error("Excess data after padding")
            found += binascii.a2b_base64(part, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise _refused(f"Media are not valid base64: {error}.", "invalid_base64") from None
    return bytes(found)


def _shown(address: str) -> str:
    return repr(shortened(address, SHOWN))


def _refused(message: str, code: str) -> RequestError:
    return RequestError(400, message, code=code, param="messages")
