"""Pieces of HTML: escaped, well formed, legible on light and dark, and complete in themselves."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp.markup import (
    ACCENT,
    Fragment,
    badge,
    bar,
    card,
    chip,
    element,
    join,
    listing,
    muted,
    node_colours,
    number,
    proportions,
    strip,
    table,
)

NASTY = "<b onclick=\"x\">&'quoted'</b>"
# What XML, and so this test's parser, cannot hold at all.
TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\ufffe\uffff"))


def parsed(html: str) -> ElementTree.Element:
    return ElementTree.fromstring(f"<page>{html}</page>")


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """By WCAG 2.1: 4.5 is enough for text, 3 for lines and dots."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@given(TEXT)
def test_text_stays_text_wherever_it_is(text: str) -> None:
    page = card(
        badge(text, "bad"), muted(text), table([text], [[text], [text]]), listing([text]),
        bar(0.5, title=text), element("span", text, style=text, title=text),
        strip([0, 1], text, titles=[text, text]), join([text], text),
    )  # fmt: skip
    root = parsed(page)
    assert {node.tag for node in root.iter()} <= {
        "page", "div", "span", "table", "thead", "tbody", "tr", "th", "td", "ul", "li",
    }  # fmt: skip
    if text.strip():
        assert text in [node.text for node in root.iter("span")]


def test_only_fragments_are_not_escaped() -> None:
    assert element("b", NASTY) == ("<b>&lt;b onclick=&quot;x&quot;&gt;&amp;&#x27;quoted&#x27;&lt;/b&gt;</b>")
    assert element("b", Fragment("<i>x</i>")) == "<b><i>x</i></b>"
    # Text put together with a fragment is text again.
    assert element("b", Fragment("<i>") + "<u>") == "<b>&lt;i&gt;&lt;u&gt;</b>"


@pytest.mark.parametrize("node", [-1, *range(12), 1023])
def test_a_node_can_be_read_and_told_from_the_page(node: int) -> None:
    fill, ink = node_colours(node)
    assert contrast(fill, ink) >= 4.5
    assert chip(node).endswith(f">{node if node >= 0 else '?'}</span>")


def test_badges_and_lines_can_be_read_on_any_page() -> None:
    for kind in ("caution", "bad", "good"):
        found = dict(re.findall(r"(background|color):(#[0-9a-f]{6})", badge("x", kind)))
        assert contrast(found["background"], found["color"]) >= 4.5
    assert contrast(ACCENT, "#ffffff") >= 3
    assert contrast(ACCENT, "#111111") >= 3


def test_a_strip_draws_48_cells_and_marks_the_wrong_ones() -> None:
    root = parsed(strip([0, 2] * 48, "asked", wrong={3}))
    cells = [node for node in root.iter("span") if "background" in node.get("style", "")]
    assert [node.text for node in cells] == ["0", "2"] * 24
    marked = [n for n, node in enumerate(cells) if "outline" in node.get("style", "")]
    assert marked == [3]
    assert "…" in "".join(root.itertext())


def test_bars_are_as_long_as_their_values() -> None:
    def filled(html: str) -> list[str]:
        return re.findall(r"width:([0-9.]+)%", html)

    assert filled(bar(0.25)) == ["25.00"]
    assert filled(bar(0.25, of=0.5)) == ["50.00"]
    assert filled(bar(7.0)) == ["100.00"]
    assert filled(bar(0.0, of=0.0)) == ["0.00"]
    parts = re.findall(r"flex:(\d+) 1 0", proportions({0: 1, 2: 3}))
    assert parts == ["1", "3"]
    assert "0: 25.0%" in proportions({0: 1, 2: 3})


def test_numbers_have_no_exponents() -> None:
    assert [number(v) for v in (0.12345, 12.3456, 999.94, 1234.5, 12345678.0)] == [
        "0.1235", "12.35", "999.9", "1,234", "12,345,678",
    ]  # fmt: skip
