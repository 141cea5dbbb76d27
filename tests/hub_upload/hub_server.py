# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A small Hub on loopback, to which the real `huggingface_hub` client talks. Standard library only.

```python
with HubServer(tmp_path) as hub:                       # a free port of 127.0.0.1
    hub.url, hub.tokens                                # HF_ENDPOINT of clients; token: what it may do
    hub.fail("PUT", "/lfs/", drop_after=1000)          # the next upload breaks off after 1,000 bytes
    hub.requests                                       # what was asked: method, path, status, bytes
```

It answers what the client asks to create, fill, list and read model and dataset repositories:

| request | |
|---|---|
| `GET /api/whoami-v2`, `POST /api/validate-yaml` | who a token belongs to; what is wrong with a card |
| `POST /api/repos/create`, `POST /api/{kind}s/{id}/branch/{name}` | 409 if it exists |
| `POST /api/{kind}s/{id}/preupload/{revision}` | which files go to large file storage, and which are there already |
| `POST /{id}.git/info/lfs/objects/batch`, `PUT`, `POST /lfs/{sha256}[/{part}]` | large files, also in parts |
| `POST /api/{kind}s/{id}/commit/{revision}[?create_pr=1]` | one commit, on a branch or as a pull request |
| `GET /api/{kind}s/{id}[/revision/{revision}]`, `tree`, `paths-info`, `commits`, `refs` | what is in it |
| `GET /[datasets/]{id}/resolve/{revision}/{path}` | a file, or a range of it |

Clients need `HF_HUB_DISABLE_XET=1`: the Xet protocol is not spoken. Private repositories and all writing need a token.
"""

import json
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from .hub_store import HubStore, Refusal, Repository, listed

WRITER = "hf_" + "standinwriter0000"  # in two pieces: no scan for secrets shall stop at this file
READER = "hf_" + "standinreader0000"
BLOCK = 1 << 16


@dataclass
class Request:
    """One answered request. `received` and `sent` are bytes of the bodies; `status` 0: the connection was dropped."""

    method: str
    path: str
    status: int
    received: int
    sent: int


@dataclass
class Fault:
    """Something that goes wrong with the next `times` requests whose method and path (a regular expression) match."""

    method: str
    path: str
    times: int
    status: int
    message: str
    drop_after: int | None

    def matches(self, method: str, path: str) -> bool:
        return self.times > 0 and self.method == method and re.search(self.path, path) is not None


class HubServer:
    """The stand-in Hub, running in a thread between `with` and its end.

    Args:
        folder: where contents are kept.
        read_yaml: parses metadata of cards (`yaml.safe_load`).
        part_size: ask clients to send large files in parts of so many bytes.
    """

    def __init__(self, folder: Path, read_yaml: Callable[[str], Any] | None = None, part_size: int | None = None):
        self.store = HubStore(Path(folder), read_yaml)
        self.part_size = part_size
        self.parts: dict[tuple[str, int], bytes] = {}
        self.tokens = {WRITER: "write", READER: "read"}
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.hooks: list[tuple[str, str, Callable[[], None]]] = []
        hub = self

        class BoundHandler(Handler):
            server_hub = hub

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), BoundHandler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> "HubServer":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception) -> None:
        self.server.shutdown()
        self.server.server_close()

    def fail(
        self,
        method: str,
        path: str,
        times: int = 1,
        status: int = 500,
        message: str = "Internal error",
        drop_after: int | None = None,
    ) -> None:
        """Lets the next `times` matching requests fail: with `status`, or dropped after `drop_after` bytes.

        Of a GET, the bytes of the answer count; else those of the request.
        """
        self.faults.append(Fault(method, path, times, status, message, drop_after))

    def on_request(self, method: str, path: str, action: Callable[[], None]) -> None:
        """Calls `action` when a request comes whose path matches, before it is answered."""
        self.hooks.append((method, path, action))

    def asked(self, method: str, path: str, status: int | None = None) -> list[Request]:
        """The requests whose path matches a regular expression."""
        found = [entry for entry in self.requests if entry.method == method and re.search(path, entry.path)]
        return [entry for entry in found if status is None or entry.status == status]

    def files(self, kind: str, name: str, revision: str = "main") -> dict[str, bytes]:
        """The files of a repository; what `.gitattributes` holds is the Hub's own."""
        commit = self.store.repository(kind, name).commit(revision)
        return {path: self.store.content(file) for path, file in commit.files.items() if path != ".gitattributes"}

    def commits(self, kind: str, name: str) -> list[str]:
        """The titles of all commits, oldest first."""
        return [commit.title for commit in self.store.repository(kind, name).commits.values()]


class Handler(BaseHTTPRequestHandler):
    """Reads one request, lets `answer` find what it asks for, and writes the answer."""

    protocol_version = "HTTP/1.1"
    server_hub: HubServer
    received: int  # bytes of this request's body
    cut: int | None  # bytes of the answer after which the connection is dropped
    disable_nagle_algorithm = True

    def handle(self) -> None:
        with suppress(ConnectionError):  # the client went away
            super().handle()

    def do_GET(self) -> None:
        self.serve()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, *arguments) -> None:
        pass

    def serve(self) -> None:
        self.received, self.cut = 0, None
        parts = urlsplit(self.path)
        self.segments = [unquote(segment) for segment in parts.path.strip("/").split("/")]
        self.query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        fault = next((f for f in self.server_hub.faults if f.matches(self.command, self.path)), None)
        try:
            if fault is not None:
                fault.times -= 1
                if fault.drop_after is None:
                    self.body()
                    raise Refusal(fault.status, fault.message)
                if self.command != "GET":
                    return self.drop(fault.drop_after)
                self.cut = fault.drop_after
            body = self.body()
            for method, path, action in list(self.server_hub.hooks):
                if method == self.command and re.search(path, self.path):
                    action()
            self.answer(body)
        except Refusal as refusal:
            self.refuse(refusal)
        except (ConnectionError, TimeoutError):
            self.drop(0)

    # -- reading

    def body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            blocks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                blocks.append(self.rfile.read(size))
                self.received += size
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(blocks)
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.received += len(content)
        return content

    def drop(self, after: int) -> None:
        """Closes the connection in the middle of the request."""
        after = min(after, int(self.headers.get("Content-Length", after)))
        while self.received < after:
            self.received += len(self.rfile.read(min(BLOCK, after - self.received)))
        self.server_hub.requests.append(Request(self.command, self.path, 0, self.received, 0))
        self.close_connection = True
        self.connection.close()

    def may(self) -> str | None:
        """ "write", "read", or None without a token; an unknown token is refused."""
        given = self.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if not given:
            return None
        if given not in self.server_hub.tokens:
            raise Refusal(401, "Invalid credentials in Authorization header")
        return self.server_hub.tokens[given]

    def repository(self, kind: str, name: str, write: bool = False) -> Repository:
        may = self.may()
        if may is None and write:
            raise Refusal(401, "Invalid username or password.")
        try:
            repository = self.server_hub.store.repository(kind, name)
        except Refusal as refusal:
            refusal.status = 404 if may else 401
            raise
        if repository.private and may is None:
            raise Refusal(401, "Repository not found", "RepoNotFound")
        if write and may != "write":
            raise Refusal(403, "You don't have the rights to write to this repository")
        return repository

    # -- answering

    def answer(self, body: bytes) -> None:
        """Finds the request in the table of the module's docstring."""
        match self.segments:
            case ["api", "whoami-v2"]:
                self.whoami()
            case ["api", "validate-yaml"]:
                self.validate_card(json.loads(body))
            case ["api", "repos", "create"]:
                self.create(json.loads(body))
            case ["api", "models" | "datasets" as kinds, organisation, name, *rest]:
                self.answer_about(kinds.removesuffix("s"), f"{organisation}/{name}", rest, body)
            case ["lfs", *rest]:
                self.large_file(rest, body)
            case ["datasets", organisation, name, "resolve", revision, *path]:
                self.send_file(self.repository("dataset", f"{organisation}/{name}"), revision, "/".join(path))
            case [organisation, name, "resolve", revision, *path]:
                self.send_file(self.repository("model", f"{organisation}/{name}"), revision, "/".join(path))
            case ["datasets", organisation, name, "info", "lfs", "objects", "batch"]:
                self.large_file_batch("dataset", f"{organisation}/{name.removesuffix('.git')}", json.loads(body))
            case [organisation, name, "info", "lfs", "objects", "batch"]:
                self.large_file_batch("model", f"{organisation}/{name.removesuffix('.git')}", json.loads(body))
            case _:
                raise Refusal(404, f"The stand-in Hub does not know {self.command} {self.path}")

    def answer_about(self, kind: str, name: str, rest: list[str], body: bytes) -> None:
        store = self.server_hub.store
        match [self.command, *rest]:
            case ["GET"]:
                self.send_json(store.info(self.repository(kind, name), "main"))
            case ["GET", "revision", revision]:
                self.send_json(store.info(self.repository(kind, name), revision))
            case ["GET", "tree", revision, *path]:
                recursive = self.query.get("recursive", "").lower() in ("true", "1")
                self.send_json(store.tree(self.repository(kind, name), revision, "/".join(path), recursive))
            case ["GET", "refs"]:
                branches = self.repository(kind, name).branches
                listing = [{"name": b, "ref": f"refs/heads/{b}", "targetCommit": oid} for b, oid in branches.items()]
                self.send_json({"branches": listing, "converts": [], "tags": []})
            case ["GET", "commits", revision]:
                commit = self.repository(kind, name).commit(revision)
                self.send_json([{"id": commit.oid, "title": commit.title, "message": "", "authors": [], "date": ""}])
            case ["POST", "paths-info", revision]:
                paths = parse_qs(body.decode()).get("paths") or json.loads(body)["paths"]
                files = self.repository(kind, name).commit(revision).files
                self.send_json([listed(path, files[path]) for path in paths if path in files])
            case ["POST", "preupload", revision]:
                repository = self.repository(kind, name, write=True)
                modes = [store.upload_mode(repository, revision, file) for file in json.loads(body)["files"]]
                self.send_json({"files": modes})
            case ["POST", "branch", branch]:
                repository = self.repository(kind, name, write=True)
                if branch in repository.branches:
                    raise Refusal(409, f"Reference already exists: {branch}")
                repository.branches[branch] = repository.branches["main"]
                self.send_json({})
            case ["POST", "commit", revision]:
                repository = self.repository(kind, name, write=True)
                done = store.apply(repository, revision, body, self.query.get("create_pr") == "1")
                self.send_json(
                    {name: self.server_hub.url + v if name.endswith("Url") else v for name, v in done.items()}
                )
            case _:
                raise Refusal(404, f"The stand-in Hub does not know {self.command} {self.path}")

    def whoami(self) -> None:
        may = self.may()
        if may is None:
            raise Refusal(401, "Invalid username or password.")
        token = {"displayName": "stand-in", "role": may}
        self.send_json({"type": "user", "name": "tester", "orgs": [], "auth": {"accessToken": token}})

    def validate_card(self, asked: dict) -> None:
        errors = self.server_hub.store.card_errors(asked["content"], asked.get("repoType", "model"))
        answer = {"errors": [{"message": error} for error in errors], "warnings": []}
        self.send_json(answer, status=400 if errors else 200)

    def create(self, asked: dict) -> None:
        may = self.may()
        if may != "write":
            status = 401 if may is None else 403
            raise Refusal(status, "You don't have the rights to create a repository under this namespace")
        name = f"{asked.get('organization') or 'tester'}/{asked['name']}"
        kind = asked.get("type") or "model"
        made = self.server_hub.store.create(kind, name, asked.get("visibility") == "private")
        folder = "datasets/" if kind == "dataset" else ""
        answer = {"url": f"{self.server_hub.url}/{folder}{name}", "name": name}
        self.send_json(answer if made else {**answer, "error": "You already created this repo"}, 200 if made else 409)

    def large_file_batch(self, kind: str, name: str, asked: dict) -> None:
        self.repository(kind, name, write=True)
        objects = []
        for wanted in asked["objects"]:
            entry = {"oid": wanted["oid"], "size": wanted["size"]}
            if not self.server_hub.store.has_large(wanted["oid"]):
                entry["actions"] = {"upload": self.upload_action(wanted["oid"], wanted["size"])}
            objects.append(entry)
        self.send_json({"transfer": "basic", "objects": objects})

    def upload_action(self, oid: str, size: int) -> dict:
        href, part_size = f"{self.server_hub.url}/lfs/{oid}", self.server_hub.part_size
        if part_size is None or size <= part_size:
            return {"href": href}
        parts = range(1, -(-size // part_size) + 1)
        return {"href": href, "header": {"chunk_size": str(part_size), **{str(n): f"{href}/{n}" for n in parts}}}

    def large_file(self, rest: list[str], body: bytes) -> None:
        """The content of a large file, a part of it, or the word that all parts are there."""
        hub = self.server_hub
        match [self.command, *rest]:
            case ["PUT", oid]:
                hub.store.keep_large(oid, body)
            case ["PUT", oid, number]:
                hub.parts[oid, int(number)] = body
                return self.send(b"", {"ETag": f'"{number}"'})
            case ["POST", oid]:
                numbers = [part["partNumber"] for part in json.loads(body)["parts"]]
                hub.store.keep_large(oid, b"".join(hub.parts[oid, number] for number in numbers))
        self.send_json({})

    def send_file(self, repository: Repository, revision: str, path: str) -> None:
        commit, file = self.server_hub.store.file(repository, revision, path)
        content = self.server_hub.store.content(file)
        headers = {"X-Repo-Commit": commit.oid, "ETag": f'"{file.oid}"', "Accept-Ranges": "bytes"}
        headers["Content-Type"] = "application/octet-stream"
        if file.large:
            headers |= {"X-Linked-Size": str(file.size), "X-Linked-Etag": f'"{file.oid}"'}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not asked:
            return self.send(content, headers)
        first, last = int(asked[1]), int(asked[2] or file.size - 1)
        if first >= file.size:
            raise Refusal(416, f"{path} has {file.size} bytes")
        headers["Content-Range"] = f"bytes {first}-{min(last, file.size - 1)}/{file.size}"
        self.send(content[first : last + 1], headers, status=206)

    # -- writing

    def refuse(self, refusal: Refusal) -> None:
        headers = {"X-Error-Message": refusal.message, "Content-Type": "application/json"}
        if refusal.code:
            headers["X-Error-Code"] = refusal.code
        if refusal.commit:
            headers["X-Repo-Commit"] = refusal.commit
        self.send(json.dumps({"error": refusal.message}).encode(), headers, refusal.status)

    def send_json(self, answer: Any, status: int = 200) -> None:
        self.send(json.dumps(answer).encode(), {"Content-Type": "application/json"}, status)

    def send(self, content: bytes, headers: dict[str, str], status: int = 200) -> None:
        length = len(content)
        if self.cut is not None:
            content, self.close_connection = content[: self.cut], True
        sent = 0 if self.command == "HEAD" else len(content)
        self.server_hub.requests.append(Request(self.command, self.path, status, self.received, sent))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
