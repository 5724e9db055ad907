"""Pieces of HTML that objects show themselves with: plain strings, legible on a light and on a dark page.

Whatever is not a `Fragment` is text, and is escaped. No style sheet, script, font or picture is loaded from
anywhere. Text and lines take the page's own colours; what has a colour of its own has its background, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape
from typing import Final

#: Fill and ink by node id. Okabe and Ito's palette, distinct with any colour vision; every cell has its
#: node's number as well, for print in grey.
_NODE_COLOURS: Final = (
    ("#0072b2", "#ffffff"), ("#e69f00", "#000000"), ("#d55e00", "#000000"), ("#009e73", "#000000"),
    ("#cc79a7", "#000000"), ("#56b4e9", "#000000"), ("#f0e442", "#000000"), ("#7d5f92", "#ffffff"),
)  # fmt: skip
_ABSENT_COLOURS: Final = ("#b3122a", "#ffffff")
#: Blue and grey that have a contrast of 3:1 or more on white and on black.
ACCENT: Final = "#2a86c8"
MUTED: Final = "opacity:.75"
_LINE: Final = "1px solid #8886"
_BADGES: Final = {
    "caution": "background:#fff4d6;color:#6b4800;border:1px solid #b07d00",
    "bad": "background:#fdecea;color:#9c1025;border:1px solid #b3122a",
    "good": "background:#e3f2e6;color:#14532d;border:1px solid #2e7d32",
}
_NODES_IN_ROW: Final = 48


class Fragment(str):
    """A piece of HTML that is finished: it is not escaped again."""

    __slots__ = ()


def html_of(content: object) -> Fragment:
    """Return a fragment as it is, and anything else as escaped text."""
    return content if isinstance(content, Fragment) else Fragment(escape(str(content)))


def join(contents: Iterable[object], between: str = "") -> Fragment:
    """Put pieces behind each other; `between` is text."""
    return Fragment(escape(between).join(html_of(content) for content in contents))


def element(name: str, *contents: object, style: str = "", title: str = "", scope: str = "") -> Fragment:
    """Return one element with a style, a title (what shows when the mouse rests on it) and a scope."""
    attributes = f' style="{escape(style)}"' if style else ""
    attributes += f' title="{escape(title)}"' if title else ""
    attributes += f' scope="{escape(scope)}"' if scope else ""
    return Fragment(f"<{name}{attributes}>{join(contents)}</{name}>")


def bold(content: object) -> Fragment:
    """Return it in bold."""
    return element("b", content)


def muted(*contents: object) -> Fragment:
    """Return a line of small, fainter text."""
    return element("div", *contents, style=f"font-size:.9em;{MUTED};margin:.15em 0")


def badge(text: object, kind: str) -> Fragment:
    """Return a label that cannot be overlooked; `kind` is ``caution``, ``bad`` or ``good``."""
    shape = "border-radius:3px;padding:.05em .5em;font-weight:bold;display:inline-block;white-space:nowrap"
    return element("span", text, style=f"{_BADGES[kind]};{shape}")


def card(*contents: object) -> Fragment:
    """Return the frame of one object."""
    return element("div", *contents, style="line-height:1.45;margin:.2em 0;max-width:64em")


def listing(items: Iterable[object]) -> Fragment:
    """Return items as a list, and nothing if there are none."""
    lines = [element("li", item) for item in items]
    return element("ul", *lines, style="margin:.3em 0 .3em 1.4em;padding:0") if lines else Fragment()


def table(
    heads: Sequence[object], rows: Iterable[Sequence[object]], *, left: Collection[int] = (0,)
) -> Fragment:
    """Return a table; columns that are not in `left` are aligned as numbers are."""

    def cell(name: str, column: int, content: object) -> Fragment:
        side = "left" if column in left else "right;white-space:nowrap"
        style = f"padding:.15em .7em;text-align:{side}"
        # A screen reader says the head of the column with each of its cells.
        return element(name, content, style=style, scope="col" if name == "th" else "")

    def row(name: str, cells: Sequence[object]) -> Fragment:
        return element("tr", *(cell(name, column, content) for column, content in enumerate(cells)))

    body = element("tbody", *(row("td", cells) for cells in rows))
    return element(
        "table",
        element("thead", row("th", heads), style=f"border-bottom:{_LINE}"),
        body,
        style="border-collapse:collapse;margin:.4em 0",
    )


def bar(
    part: float, *, colour: str = ACCENT, of: float = 1.0, title: str = "", width_em: float = 8
) -> Fragment:
    """Return a bar: a frame `of` the width, and `part` of the width filled, both from 0 to 1."""
    filled = element(
        "div", style=f"width:{_percent(part / of if of > 0 else 0)};height:100%;background:{colour}"
    )
    frame = f"display:inline-block;vertical-align:middle;width:{width_em * min(max(of, 0.02), 1):.2f}em"
    return element("div", filled, style=f"{frame};height:.8em;border:1px solid {colour}", title=title)


def number(value: float) -> str:
    """Write a number with four digits or more, never with an exponent where it is large."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def node_colours(node: int) -> tuple[str, str]:
    """Fill and ink of a node; negative: a page that is on no node."""
    return _NODE_COLOURS[node % len(_NODE_COLOURS)] if node >= 0 else _ABSENT_COLOURS


def chip(node: int) -> Fragment:
    """Return a node's number in its colour."""
    fill, ink = node_colours(node)
    look = f"background:{fill};color:{ink};border-radius:3px;padding:0 .45em;font-weight:bold"
    return element("span", node if node >= 0 else "?", style=f"{look};display:inline-block")


def strip(
    nodes: Sequence[int], label: str = "", *, wrong: Collection[int] = (), titles: Sequence[str] = ()
) -> Fragment:
    """Return granules in a row, a cell each.

    Parameters
    ----------
    nodes : sequence of int
        Node of each granule; -1 is none. At most 48 are drawn.
    label : str
        In front of the row; rows with a label are aligned with each other.
    wrong : collection of int
        Indices of granules that are not where they should be.
    titles : sequence of str
        What shows when the mouse rests on a cell.
    """
    width = 0.9 + 0.8 * max((len(str(node)) for node in nodes), default=1)
    cells = []
    for index, node in enumerate(nodes[:_NODES_IN_ROW]):
        fill, ink = node_colours(node)
        look = f"flex:0 1 {width:.1f}em;min-width:0;overflow:hidden;text-align:center;font-size:.85em"
        look += f";margin-right:1px;border-radius:2px;background:{fill};color:{ink}"
        if index in wrong:
            look += f";outline:2px solid {_ABSENT_COLOURS[0]};text-decoration:line-through"
        title = titles[index] if index < len(titles) else ""
        cells.append(element("span", node if node >= 0 else "?", style=look, title=title))
    if len(nodes) > _NODES_IN_ROW:
        cells.append(element("span", " …", style="padding-left:.3em"))
    if label:
        cells.insert(0, element("span", label, style="flex:0 0 4em"))
    return element("div", *cells, style="display:flex;margin:.15em 0")


def proportions(counts: Mapping[int, int]) -> Fragment:
    """Return one bar that is divided among nodes as `counts` are."""
    total = sum(counts.values())
    parts = []
    for node, count in counts.items():
        fill, ink = node_colours(node)
        look = f"flex:{count} 1 0;min-width:1px;overflow:hidden;background:{fill};color:{ink}"
        look += ";text-align:center;white-space:nowrap;font-size:.85em"
        share = f"{count / total:.1%}" if total else ""
        wording = f"{node}: {share}" if total and count / total >= 0.15 else ""
        parts.append(element("span", wording, style=look, title=f"node {node}: {share}"))
    return element("div", *parts, style="display:flex;max-width:30em;height:1.35em;margin:.2em 0")


def _percent(share: float) -> str:
    return f"{min(max(share, 0.0), 1.0):.2%}"
