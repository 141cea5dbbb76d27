# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Runs docs/serving.md from top to bottom: its commands, with a server in a process of its own, and its Python."""

import argparse
import json
import os
import shlex
import subprocess
import sys
import urllib.request

import pytest

from favor.cli import main

from .test_readme import BLOCK, README

PAGE = README.parent / "docs" / "serving.md"
ADDRESS = "127.0.0.1:8000"


def curl(arguments: list[str]) -> dict:
    """What `curl -s URL -H HEADER -d BODY` prints, as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-s", action="store_true")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", dest="body")
    parser.add_argument("url")
    given = parser.parse_args(arguments)
    headers = dict(header.split(": ") for header in given.headers)
    body = None if given.body is None else given.body.encode()
    with urllib.request.urlopen(urllib.request.Request(given.url, body, headers)) as response:
        return json.load(response)


def test_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = [(match["language"], match["code"]) for match in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]
    assert [language for language, _ in blocks] == ["bash", "bash", "python", "python", "nginx", "bash"]
    install, synth, serve = (shlex.split(line, comments=True) for line in blocks[0][1].splitlines())
    assert install == ["pip", "install", "favor[serve]"]
    assert main(synth[1:]) == 0
    command = [sys.executable, "-m", "favor", *serve[1:], "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(README.parent)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            address = server.stdout.readline().split()[-1].removeprefix("http://").removesuffix("/v1")
            words = shlex.split(blocks[1][1].replace(ADDRESS, address))
            second = words.index("curl", 1)
            asked, health = curl(words[1:second]), curl(words[second + 1 :])
            capsys.readouterr()
            names: dict = {}
            exec(compile(blocks[2][1].replace(ADDRESS, address), str(PAGE), "exec"), names)
            printed = capsys.readouterr().out
        finally:
            server.terminate()
    assert health == {"status": "ok"}
    answer = asked["choices"][0]["message"]["content"]
    assert answer and printed.startswith(answer)
    exec(compile(blocks[3][1], str(PAGE), "exec"), names)
    assert capsys.readouterr().out.startswith(answer)


def test_every_option_on_the_page_exists(capsys):
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    known = capsys.readouterr().out
    options = {part.split("`")[0].split()[0] for part in PAGE.read_text(encoding="utf-8").split("`--")[1:]}
    assert len(options) > 10
    assert [option for option in sorted(options) if f"--{option}" not in known] == []
