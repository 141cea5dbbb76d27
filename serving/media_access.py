# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Which media a request may name: `data:` URLs, and files of one folder. Nothing is ever fetched from a network."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from favor.processing import MediaError
from favor.processing.media_sources_favor import base64_bytes, base64_start, is_data_url

from .request_errors import RequestError, shortened

SHOWN = 80  # characters of an address in messages


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
        if is_data_url(address):
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
    start = base64_start(address)
    if start is None:
        raise _refused(f"{_shown(address)} is refused: only base64 data: URLs are read.", "invalid_data_url")
    return sent_bytes(address, start)


def sent_bytes(text: str, start: int = 0) -> bytes:
    """The bytes that base64 text stands for, from its character `start` on.

    Raises `RequestError`.
    """
    try:
        return base64_bytes(text, start)
    except MediaError as error:
        raise _refused(str(error), "invalid_base64") from None


def _shown(address: str) -> str:
    return repr(shortened(address, SHOWN))


def _refused(message: str, code: str) -> RequestError:
    return RequestError(400, message, code=code, param="messages")
