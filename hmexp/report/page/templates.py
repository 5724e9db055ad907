"""The templates of pages: one look for all of them."""

from __future__ import annotations

import re
from importlib import resources
from typing import Any, Final

import jinja2

from hmexp.report.figures import style

_PERCENT: Final = re.compile(r"(?<=\d)%")
_UNIT: Final = re.compile(r"(?<=[\d≥≤±]) (?=[\d%×±A-Za-z])")


def render_template(name: str, **values: Any) -> str:
    """Fill in a template of this folder; everything that is not markup is escaped."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        loader=jinja2.FunctionLoader(_template),
    )  # fmt: skip
    environment.filters["nb"] = _unbroken
    return environment.get_template(name).render(dark_figures=style.dark_properties(), **values)


def _template(name: str) -> str:
    return resources.files("hmexp.report.page").joinpath(name).read_text(encoding="utf-8")


def _unbroken(text: str) -> str:
    """Keep a number beside its sign or unit."""
    return _UNIT.sub("\u00a0", _PERCENT.sub(" %", text))
