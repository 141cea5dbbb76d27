# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""An HTML page that opens from disk: one file, without scripts and foreign addresses."""

from html import escape

STYLE = """
body{font:15px/1.45 system-ui,sans-serif;color:#222;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem} h2{font-size:1.1rem;margin-top:2rem} p{margin:.4rem 0}
.where{color:#666;font-size:.85rem;overflow-wrap:anywhere} .said{white-space:pre-wrap;overflow-wrap:anywhere}
"""


def local_page(title: str, body: str, style: str = "") -> str:
    """The whole page.

    Args:
        title: plain text.
        body: HTML under the title, whose texts are escaped.
        style: CSS beside the shared one.
    """
    title = escape(title)
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}{style}</style>\n<h1>{title}</h1>\n{body}\n</html>\n"
    )


__all__ = ["local_page"]
