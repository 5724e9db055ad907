"""The first page of any report as text: question, verdict, cards, trust and one table.

Each kind of run makes one of its own; one template shows them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from hmexp.report.model.trust import Ground

Css = Literal["good", "bad", "warn"]
#: Of a mark: a sign that needs no colour.
SIGNS: Final = {"kept": "✓", "not kept": "✗", "inconclusive": "?", "not measured": "–", None: ""}
CLASSES: Final = {"kept": "yes", "not kept": "no", "inconclusive": "open", "not measured": "open", None: ""}
_WORST: Final = ("not kept", "not measured", "inconclusive", "kept")
MARKS: Final = (
    "Kept: the whole 95 % interval is within the limit. Not kept: none of it is. Inconclusive: it spans the "
    "limit."
)


class Marked:
    """What is kept or not: how its mark is shown."""

    mark: str | None

    @property
    def sign(self) -> str:
        """The sign of the mark."""
        return SIGNS[self.mark]

    @property
    def css(self) -> str:
        """The class of the mark."""
        return CLASSES[self.mark]


@dataclass(frozen=True)
class Kept(Marked):
    """A card, or a cell of the table.

    Parameters
    ----------
    name : str
        What it is of.
    value, interval : str
        With units; empty where there is none.
    mark : str or None
        ``kept``, ``not kept``, ``inconclusive`` or ``not measured``; None if nothing is needed.
    limit : str
        What is needed.
    where : str
        Parameters of the worst of several.
    reason : str
        Why there is no value.
    note : str
        What is said below a value of which nothing is needed.
    """

    name: str
    value: str = ""
    interval: str = ""
    mark: str | None = None
    limit: str = ""
    where: str = ""
    reason: str = ""
    note: str = ""


@dataclass(frozen=True)
class AnswerLine(Marked):
    """A row of the table.

    Parameters
    ----------
    ratio, pattern : str
        What the row is of: its name, and how that is written as an option.
    mark : str
        Over all needs.
    cells : tuple of Kept
        A column for each need, and for what is worth knowing beside.
    facts : tuple of str
        Further columns: money, or sizes.
    chosen, far : bool
        Whether the verdict names it; whether it is left out on paper.
    """

    ratio: str
    pattern: str
    mark: str | None
    cells: tuple[Kept, ...]
    facts: tuple[str, ...] = ()
    chosen: bool = False
    far: bool = False


@dataclass(frozen=True)
class FirstPage:
    """Everything that the first page says, as text.

    Parameters
    ----------
    question, verdict, why : str
        In a sentence or two each.
    css : str
        ``good``, ``bad`` or ``warn``.
    trust : tuple of Ground
        How far to trust it.
    cards_head : str
        What the cards are of; none are shown without it.
    cards : tuple of Kept
        Of what the verdict speaks of.
    said : tuple of str
        Sentences below the cards.
    table_head, row_head, caption : str
        Of the table, of its first column, and for those who cannot see it.
    fact_heads, heads : tuple of str
        Of its other columns.
    lines : tuple of AnswerLine
        Its rows.
    legend : tuple of str
        Sentences below the table.
    badge : str
        What stands beside the row that is chosen.
    """

    question: str
    verdict: str
    why: str
    css: Css
    trust: tuple[Ground, ...]
    cards_head: str = ""
    cards: tuple[Kept, ...] = ()
    said: tuple[str, ...] = ()
    table_head: str = ""
    row_head: str = ""
    caption: str = ""
    fact_heads: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    lines: tuple[AnswerLine, ...] = ()
    legend: tuple[str, ...] = ()
    badge: str = "set this"

    @property
    def has_marks(self) -> bool:
        """Whether anything is needed of a row."""
        return any(line.mark is not None for line in self.lines)


def worst_mark(cells: tuple[Kept, ...]) -> str | None:
    """The mark over all needs: kept only if each is; None if nothing is needed."""
    return min((cell.mark for cell in cells if cell.mark is not None), key=_WORST.index, default=None)
