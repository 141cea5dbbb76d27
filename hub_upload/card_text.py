# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Cards that are written again without losing what people added to them.

Generated text stands between `<!-- favor:begin NAME -->` and `<!-- favor:end NAME -->`. Writing a card again changes
only what is between; a README.md without these comments is somebody's own and stays.
"""

import re
from functools import cache
from importlib.resources import files

import jinja2
from huggingface_hub import CardData, RepoCard

from .json_values import Json
from .outgoing_files import Outgoing

FENCE = "```"
TITLE = re.compile(r"\A\s*# .*\n")
HEADING = re.compile(r"^(?=#{1,5} )", re.MULTILINE)
RELATIVE_LINK = re.compile(r"!?\[(?P<text>[^\]]*)\]\((?!https?://|mailto:|#)[^)]*\)")
BLOCK = re.compile(r"<!-- favor:begin (?P<name>[\w-]+) -->\n(?P<text>.*?)<!-- favor:end (?P=name) -->", re.DOTALL)
MACHINE_WRITTEN = ("generated_from_trainer", "[More Information Needed]", "### Framework versions")  # trainers, PEFT


def card_to_update(outgoing: Outgoing, overwrite: bool) -> tuple[bool, str | None]:
    """Whether a card is to be written, and the old one whose other text it keeps.

    A README.md that somebody wrote by hand stays, unless `overwrite`; those that trainers write are replaced.
    """
    readme = outgoing.source("README.md")
    if readme is None or overwrite:
        return True, None
    old = readme.read_text(encoding="utf-8")
    if BLOCK.search(old):
        return True, old
    if any(mark in old for mark in MACHINE_WRITTEN):
        return True, None
    outgoing.notes.append("README.md: yours, kept as it is (--overwrite-card replaces it)")
    return False, None


def metadata_of(card: str | None) -> dict[str, Json]:
    """The metadata of a card, without its evaluation results: they are stated anew each time."""
    if card is None:
        return {}
    data = RepoCard(card, ignore_metadata_errors=True).data.to_dict()
    return {name: value for name, value in data.items() if name not in ("model-index", "model_name", "eval_results")}


def card_text(old: str | None, metadata: CardData, body: str) -> str:
    """A README.md: `metadata`, and `body`, or the old card's body with the generated blocks of `body`.

    A block that the user took out of the old card stays out.
    """
    if old is not None:
        blocks = {match["name"]: match[0] for match in BLOCK.finditer(body)}
        kept = RepoCard(old, ignore_metadata_errors=True).text.lstrip()
        body = BLOCK.sub(lambda match: blocks.get(match["name"], match[0]), kept)
    return f"---\n{metadata.to_yaml()}\n---\n\n{body.strip()}\n"


def section_text(page: str) -> str:
    """A page of Markdown as a section of a card.

    Its title goes, its headings are a level deeper, and links to files beside it, which the repository does not have,
    become plain text.
    """
    parts = TITLE.sub("", page).strip().split(FENCE)
    for index in range(0, len(parts), 2):  # the others are code
        parts[index] = RELATIVE_LINK.sub(r"\g<text>", HEADING.sub("#", parts[index]))
    return FENCE.join(parts)


@cache
def card_template(name: str) -> jinja2.Template:
    source = (files(__package__) / "templates" / name).read_text(encoding="utf-8")
    return jinja2.Environment(keep_trailing_newline=True, undefined=jinja2.StrictUndefined).from_string(source)
