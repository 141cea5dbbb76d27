# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Runs the README from top to bottom: its `favor` commands, its Python, and its JSON.

The blocks run in order in one folder, with the random model in place of favor-tiny. A block below a comment
`<!-- not run: reason -->` is left out.
"""

import json
import re
import shlex
from pathlib import Path
from typing import NamedTuple

import pytest

from favor.cli import main

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"(?P<before>[^\n]*)\n```(?P<language>\w+)\n(?P<code>.*?)```", re.DOTALL)


class Block(NamedTuple):
    language: str
    code: str
    runs: bool


def blocks() -> list[Block]:
    found = BLOCK.finditer(README.read_text(encoding="utf-8"))
    return [Block(match["language"], match["code"], _runs(match)) for match in found]


def _runs(match: re.Match) -> bool:
    return match["language"] != "bibtex" and not match["before"].startswith("<!-- not run:")


def commands(code: str) -> list[list[str]]:
    return [words for line in code.splitlines() if (words := shlex.split(line, comments=True))]


def test_every_block_is_run_or_says_why_not():
    assert [block.language for block in blocks()] == [
        *("bash", "bash", "python", "bash", "json", "python", "python", "bash", "bash", "bash", "bibtex")
    ]
    assert [block.language for block in blocks() if not block.runs] == ["bash", "bash", "bash", "bibtex"]
    for block in blocks():
        if block.language == "bash" and block.runs:
            assert all(words[0] == "favor" for words in commands(block.code))


def test_readme_runs(monkeypatch, tmp_path, tiny_model_dir, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("favor.model_loading.bundled_model_path", lambda: tiny_model_dir)
    names: dict = {}
    for block in blocks():
        if not block.runs:
            continue
        if block.language == "bash":
            for words in commands(block.code):
                assert main(words[1:]) == 0, capsys.readouterr().err
        elif block.language == "python":
            exec(compile(block.code, str(README), "exec"), names)
        else:
            assert {"messages", "video"} == set(json.loads(block.code))
    assert (tmp_path / "favor-mine" / "pipeline_favor.py").is_file()
    assert capsys.readouterr().out


@pytest.mark.parametrize("page", sorted([README, *README.parent.glob("docs/*.md")]), ids=lambda page: page.name)
def test_links_to_files_are_not_broken(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
