"""What a campaign file asks for, checked before anything runs."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import io
import json
import logging
import math
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hmexp.campaign.request import literal_path
from hmexp.errors import HmexpError, ParameterError
from hmexp.store.run import resolve_results
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.plan import make_plan
from hmexp.system.topology import Topology

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", re.ASCII)
#: Where the results go, the campaign says.
_PLACES: Final = ("results", "run")
_KEYS: Final = ("title", "results", "parameters", "entry")
_ENTRY_KEYS: Final = ("name", "notebook", "about", "parameters")


@dataclass(frozen=True)
class Entry:
    """One notebook with its parameters: one run of papermill.

    Parameters
    ----------
    name : str
        Of the entry, unique in its campaign.
    notebook : Path
        The notebook.
    parameters : mapping
        What it is given, those that the campaign gives to all included.
    about : str
        What it is for, in the person's words.
    places : frozenset of str
        Which of ``results`` and ``run`` the notebook has.
    fingerprint : str
        Hash of the notebook's code and the parameters: while it is the same, so is what is measured.
    """

    name: str
    notebook: Path
    parameters: Mapping[str, Any]
    about: str
    places: frozenset[str]
    fingerprint: str


@dataclass(frozen=True)
class Campaign:
    """Entries that are run one after another, and gathered in one folder.

    Parameters
    ----------
    file : Path
        Where it was read from.
    title : str
        Of the page that shows it.
    folder : Path
        Where all that comes of it goes.
    entries : tuple of Entry
        In the order of the file.
    """

    file: Path
    title: str
    folder: Path
    entries: tuple[Entry, ...]


def read_campaign(file: Path, topology: Topology) -> Campaign:
    """Read a campaign file.

    Parameters
    ----------
    file : Path
        In TOML; paths in it are relative to its folder.
    topology : Topology
        This machine, on which its sweeps must be possible.

    Raises
    ------
    ParameterError
        If it cannot be read, has a key that is unknown, a notebook that is missing, a parameter that its
        notebook does not have, or a sweep that is impossible here.
    """
    # Unlike Path.resolve it leaves a loop of links to whoever opens the file.
    file = Path(os.path.realpath(file.expanduser()))
    wording = _parse(file)
    _require_known(wording, _KEYS, str(file))
    common = _table(wording.get("parameters", {}), f"{file}: [parameters]")
    entries: list[Entry] = []
    tables = wording.get("entry", [])
    if not isinstance(tables, list) or not tables:
        raise ParameterError(f"{file} has no [[entry]] table", "write [[entry]] with a name and a notebook")
    used: set[str] = set()
    for number, table in enumerate(tables, start=1):
        entry, names = _read_entry(file, table, number, common, topology)
        if any(entry.name == other.name for other in entries):
            raise ParameterError(f"{file}: two entries are called {entry.name!r}")
        entries.append(entry)
        used |= names
    _require_known(common, sorted(used), f"{file}: [parameters]", "no notebook of this campaign")
    where = _text(wording.get("results", "auto"), f"{file}: results")
    folder = resolve_results("auto") / f"campaign-{file.stem}" if where == "auto" else file.parent / where
    return Campaign(file, _text(wording.get("title", file.stem), f"{file}: title"), folder, tuple(entries))


def _parse(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ParameterError(
            f"cannot read the campaign {file}: {error.strerror}",
            "name a file such as notebooks/campaign.toml",
        ) from error
    except ValueError as error:
        raise ParameterError(f"{file} is not valid TOML: {error}", "see notebooks/campaign.toml") from error


def _read_entry(
    file: Path, table: Any, number: int, common: Mapping[str, Any], topology: Topology
) -> tuple[Entry, set[str]]:
    where = f"{file}: entry {number}"
    if not isinstance(table, dict):
        raise ParameterError(f"{where} is not a table", "write [[entry]]")
    name = _text(table.get("name", ""), f"{where}: name")
    if not _NAME.fullmatch(name):
        raise ParameterError(
            f"{where}: name {name!r} is not usable", "use letters, digits, points, dashes and underscores"
        )
    where = f"{file}: entry {name!r}"
    _require_known(table, _ENTRY_KEYS, where)
    own = _table(table.get("parameters", {}), f"{where}: parameters")
    if not table.get("notebook"):
        raise ParameterError(f"{where} has no notebook", 'write notebook = "FILE.ipynb"')
    notebook = Path(os.path.realpath(file.parent / _text(table["notebook"], f"{where}: notebook")))
    code = _read_code(notebook, where)
    names = _parameter_names(notebook, where)
    _require_known(own, sorted(names), where, notebook.name)
    values = {key: value for key, value in common.items() if key in names} | own
    if names.issuperset(SweepParameters.names()):
        # A sweep is checked as a whole: an hour later would be late to learn that a pattern is none.
        try:
            make_plan(SweepParameters.from_mapping(values), topology)
        except HmexpError as error:
            raise ParameterError(f"{where}: {error.message}", error.remedy) from error
    text = json.dumps([notebook.name, code, values], sort_keys=True)
    fingerprint = hashlib.sha256(text.encode()).hexdigest()[:16]
    about = _text(table.get("about", ""), f"{where}: about")
    return Entry(name, notebook, values, about, frozenset(names.intersection(_PLACES)), fingerprint), names


def _read_code(notebook: Path, where: str) -> list[str]:
    """Sources of the cells of code: what else is changed in a notebook changes no measurement."""
    try:
        content = json.loads(notebook.read_text(encoding="utf-8-sig"))
        cells = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
        return ["".join(cell["source"]) for cell in cells]
    except OSError as error:
        raise ParameterError(f"{where}: cannot read {notebook}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ParameterError(f"{where}: {notebook} is not a notebook") from error


def _parameter_names(notebook: Path, where: str) -> set[str]:
    # Importing papermill takes a while, and only campaigns need it here.
    import papermill

    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return set(papermill.inspect_notebook(literal_path(str(notebook))))
    except Exception as error:  # papermill documents none, and whatever it is, the notebook is at fault
        raise ParameterError(f"{where}: papermill cannot read {notebook}: {error}") from error


def _require_known(given: Iterable[str], known: Iterable[str], where: str, whose: str = "") -> None:
    known = list(known)
    for name in given:
        if whose and name in _PLACES:
            raise ParameterError(
                f"{where}: {name!r} cannot be set by an entry",
                "the campaign gathers all runs; `results` at the top of the file says where",
            )
        if name in known:
            continue
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(known) or 'none'}"
        what = f"{whose} has no parameter {name!r}" if whose else f"unknown key {name!r}"
        raise ParameterError(f"{where}: {what}", hint)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise ParameterError(f"{where} is {value!r}, which is not a text")
    return value


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ParameterError(f"{where} is {value!r}, which is not a table of names and values")
    for name, one in value.items():
        for item in one if isinstance(one, list) else [one]:
            wrong = not isinstance(item, str | int | float)
            if wrong or (isinstance(item, float) and not math.isfinite(item)):
                raise ParameterError(
                    f"{where}: {name} = {item!r} is not a text, a number, a boolean or a list of them"
                )
    return value
