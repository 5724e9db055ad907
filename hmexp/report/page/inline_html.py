"""A piece of HTML that shows itself in a notebook."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Html:
    """A piece of HTML; its `text` is the same for a terminal."""

    html: str
    text: str = field(repr=False, default="")

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text
