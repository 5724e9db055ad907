"""The page of a campaign: each entry with what became of it, and where its report is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from hmexp.markup import Fragment, badge, card, element, html_of, muted, table
from hmexp.store.files import write_atomically

_KINDS: Final = {"finished": "good", "failed": "bad", "kernel died": "bad"}
#: As the report's page: its font, and its colours on a light and on a dark page.
_STYLE: Final = """
:root { --paper: #f6f7f9; --ink: #1c2127; --link: #0b5e96; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --ink: #e6e9ed; --link: #7cc0f0; } }
body { margin: 0; padding: 28px 24px 72px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
a { color: var(--link); } td:first-child { min-width: 15em; }
@media (max-width: 600px) { body { padding: 12px; } }
@media (min-width: 2200px) { body { zoom: 1.4; } }
@media (min-width: 3400px) { body { zoom: 2; } }
@page { size: landscape; margin: 11mm; }
@media print { body { padding: 0; background: #fff; font-size: 9pt; } tr { break-inside: avoid; }
  thead { display: table-header-group; } }
"""
_HEADS: Final = ("entry", "status", "points", "report", "notebook", "log", "from", "to")


def write_page(folder: Path, summary: Mapping[str, Any]) -> Path:
    """Write `index.html`, which fetches nothing.

    Parameters
    ----------
    folder : Path
        The campaign's folder.
    summary : mapping
        Content of its `campaign.json`.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    return write_atomically(folder / "index.html", page(summary))


def page(summary: Mapping[str, Any]) -> str:
    """Make the page."""
    title = html_of(summary["title"])
    rows = [_row(entry) for entry in summary["entries"]]
    finished = sum(entry["status"] == "finished" for entry in summary["entries"])
    body = card(
        element("h1", summary["title"]),
        element("p", f"{finished} of {len(rows)} entries of {summary['file']} are finished."),
        element("div", table(_HEADS, rows, left=range(len(_HEADS))), style="overflow-x:auto"),
        muted("campaign.json holds the same data for programs to read."),
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{title} · hmexp</title>\n<style>{_STYLE}</style></head>\n<body>{body}</body></html>\n"
    )


def _row(entry: Mapping[str, Any]) -> tuple[object, ...]:
    given = ", ".join(f"{name} = {value}" for name, value in entry["parameters"].items())
    name = element(
        "div", element("b", entry["name"]), muted(entry["about"] or ""), muted(given or "all defaults")
    )
    status = element("div", badge(entry["status"], _KINDS.get(entry["status"], "caution")))
    if entry.get("emulated"):
        # Beside the name, where no narrow screen cuts it off.
        name = element("div", badge(f"EMULATED {entry['emulated']}", "caution"), name)
    if entry["reason"]:
        status = element("div", status, muted(entry["reason"]))
    answer = entry.get("answer")
    if answer:
        name = element("div", name, element("p", answer))
    return (
        name,
        status,
        _points(entry["points"]),
        _link(entry["report"], "report"),
        _link(entry["executed"], entry["notebook"]),
        _link(entry["log"], "log"),
        entry["started"] or "",
        entry["ended"] or "",
    )


def _points(points: Mapping[str, int] | None) -> str:
    if points is None:
        return ""
    others = [f"{points[name]} {name}" for name in ("failed", "skipped") if points[name]]
    return ", ".join([f"{points['ok']} of {points['planned']}", *others])


def _link(file: str | None, text: str) -> Fragment:
    return Fragment(f'<a href="{quote(file)}">{html_of(text)}</a>') if file else Fragment()
