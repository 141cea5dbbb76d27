# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What stands before and around the server: nginx with the configuration of the docs, and the container's bounds."""

import argparse
import json
import re
import shlex
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
import yaml

from favor.commands import serve
from favor.serving import ChatEngine
from tests.conftest import REPOSITORY

from .conftest import serving, wait_until
from .test_http_abuse import host_and_port
from .test_http_server import KEY, TEXT, client, metrics, post

DEPLOY = REPOSITORY / "deploy"
NGINX = (DEPLOY / "nginx.conf").read_text()


def test_the_docs_show_the_configuration():
    assert f"```nginx\n{NGINX}```" in (REPOSITORY / "docs" / "serving.md").read_text()


def test_the_container_has_no_root_writes_nothing_and_has_no_way_out():
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line and not line.startswith(("#", " "))]
    assert [rest for step, rest in steps if step == "USER"] == ["10001:10001"]
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    favor = compose["services"]["favor"]
    assert favor["user"] == "10001:10001" and favor["read_only"] and favor["cap_drop"] == ["ALL"]
    assert favor["networks"] == ["inside"] and compose["networks"]["inside"]["internal"]
    assert "ports" not in favor and "volumes" not in favor
    started = json.loads(next(rest for step, rest in steps if step == "ENTRYPOINT")) + favor["command"]
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    arguments = parser.parse_args(started[2:])
    assert (arguments.host, arguments.port) == ("0.0.0.0", 8000)
    assert arguments.proxy == compose["networks"]["inside"]["ipam"]["config"][0]["subnet"]
    assert "server favor:8000;" in NGINX


@pytest.fixture
def nginx(pipe, tmp_path) -> Iterator[tuple[str, str]]:
    """The addresses of nginx and of the server behind it; nginx waits a tenth as long as in the docs, without TLS."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin") or shutil.which("nginx")
    if program is None:
        pytest.fail("This test needs nginx: install the package nginx (or nginx-light).")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with ChatEngine(pipe) as engine, serving(engine, api_key=KEY) as address:
        site = re.sub(r"    ssl_.*\n", "", NGINX).replace("listen 443 ssl", f"listen 127.0.0.1:{port}")
        site = site.replace("favor:8000", address.removeprefix("http://")).replace("timeout 10s", "timeout 1s")
        paths = "".join(
            f"{name}_temp_path {tmp_path}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        main = f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/errors; user root;\nevents {{}}\n"
        (tmp_path / "nginx.conf").write_text(f"{main}http {{\naccess_log off;\n{paths}{site}}}\n")
        started = shlex.split(f"{program} -p {tmp_path} -e {tmp_path}/errors -c {tmp_path}/nginx.conf")
        with subprocess.Popen(started, stderr=subprocess.PIPE, text=True) as process:
            try:
                wait_until(lambda: process.poll() is not None or is_open(port))
                assert process.poll() is None, process.stderr.read()
                yield f"http://127.0.0.1:{port}", address
            finally:
                process.terminate()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
def test_nginx_passes_answers_on_and_holds_slow_heads_and_bodies(nginx, media_dir):
    before, behind = nginx
    assert post(before, {"messages": TEXT})[0] == 200
    stream = client(before).chat.completions.create(model="random", messages=TEXT, stream=True)
    assert [chunk.choices[0].finish_reason for chunk in stream][-1] in ("stop", "length")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{before}/metrics")  # stays inside
    assert post_status_of_a_large_body(before) == 413

    asked = metrics(behind)['favor_requests_total{status="200"}']
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
    body = (
        head
        + f"Authorization: Bearer {KEY}\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{{".encode()
    )
    slow = [socket.create_connection(host_and_port(before), timeout=30) for _ in range(60)]
    for number, connection in enumerate(slow):
        connection.sendall(head if number % 2 else body)
    started = time.monotonic()
    assert post(before, {"messages": TEXT})[0] in (200, 503)  # of 64 connections of one address 60 are taken
    for connection in slow:
        with connection:
            connection.settimeout(30)
            assert connection.recv(1000)[:12] in (b"", b"HTTP/1.1 408")
    assert time.monotonic() - started < 20
    after = metrics(behind)
    assert after['favor_requests_total{status="200"}'] <= asked + 1
    assert not any("499" in name or "408" in name for name in after)  # the server has not seen them
    assert post(before, {"messages": TEXT})[0] == 200


def post_status_of_a_large_body(address: str) -> int:
    with socket.create_connection(host_and_port(address), timeout=30) as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 99000000\r\n\r\n")
        return int(connection.recv(100).split()[1])
