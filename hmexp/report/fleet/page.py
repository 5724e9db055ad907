"""The report of a fleet: one HTML file, with tables of every host beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from markupsafe import Markup

from hmexp.report.figures import gallery as figures
from hmexp.report.fleet.comparable import Unit
from hmexp.report.fleet.figure import CAPTION, STEM, draw_hosts
from hmexp.report.fleet.outliers import Deviation, OddHost, find_deviations, find_odd
from hmexp.report.fleet.reading import Fleet, read_fleet_results
from hmexp.report.fleet.safety import RatioOfFleet, find_ratios, find_safe
from hmexp.report.fleet.variation import Components, find_components
from hmexp.report.fleet.words import (
    FleetVerdict,
    grounds,
    say_bound,
    say_components,
    say_deviation,
    say_kept,
    say_odd,
    say_question,
    say_verdict,
)
from hmexp.report.model.needs import name_of
from hmexp.report.model.tables import write_csv
from hmexp.report.page.templates import render_template
from hmexp.report.run.numbers import MISSING, digits, percent, signed
from hmexp.store.files import write_atomically

#: Rows that a person would read; the tables beside the page have all.
_MOST_ROWS: Final = 60


@dataclass(frozen=True)
class FleetFindings:
    """Everything that is said of a fleet.

    Parameters
    ----------
    fleet : Fleet
        What was measured.
    deviations : mapping
        How far each host is from the middle, by host and operation.
    odd : tuple of OddHost
        The hosts that stand out.
    ratios : tuple of RatioOfFleet
        What each ratio keeps.
    components : mapping of Unit to Components
        The spread between and within hosts.
    """

    fleet: Fleet
    deviations: Mapping[str, Mapping[str, Deviation]]
    odd: tuple[OddHost, ...]
    ratios: tuple[RatioOfFleet, ...]
    components: Mapping[Unit, Components | None]

    @property
    def verdict(self) -> FleetVerdict:
        """The first thing to say."""
        return say_verdict(self.fleet, self.odd, self.ratios)


def find_all(fleet: Fleet) -> FleetFindings:
    """Compare the hosts of a fleet."""
    deviations = find_deviations(fleet)
    return FleetFindings(
        fleet=fleet,
        deviations=deviations,
        odd=find_odd(fleet, deviations),
        ratios=find_ratios(fleet),
        components={
            unit: find_components([host.launches[unit] for host in fleet.measured if unit in host.launches])
            for unit in fleet.units
        },
    )


def write_fleet_report(folder: Path) -> tuple[Path, FleetFindings]:
    """Write `report.html`, `hosts.csv`, `points.csv` and `figures/` of a fleet.

    Parameters
    ----------
    folder : Path
        The fleet's folder.

    Returns
    -------
    tuple of Path and FleetFindings
        The page, and what it says.

    Raises
    ------
    StoreError
        If the fleet cannot be read, or a file cannot be written.
    """
    found = find_all(read_fleet_results(folder))
    svg = None
    if found.fleet.units:
        drawn = draw_hosts(found.fleet, found.deviations, found.odd)
        figures.save(drawn, folder / "figures", STEM)
        svg = figures.read_svg(folder / "figures", STEM)
    write_csv(_hosts_frame(found), folder / "hosts.csv")
    write_csv(_points_frame(found), folder / "points.csv")
    page = render_fleet(found, svg)
    return write_atomically(folder / "report.html", page), found


def render_fleet(found: FleetFindings, svg: str | None) -> str:
    """Make the page.

    Parameters
    ----------
    found : FleetFindings
        What is said.
    svg : str or None
        The text of the figure's SVG file.
    """
    fleet = found.fleet
    rows = _host_rows(found)
    units = _unit_rows(found)
    return render_template(
        "fleet.html.j2",
        record=fleet.record,
        labels=fleet.labels,
        question=say_question(fleet),
        verdict=found.verdict,
        trust=grounds(fleet, found.ratios),
        odd=[(each.host.name, say_odd(each), each.facts) for each in found.odd[:_MOST_ROWS]],
        kept_of=say_kept(fleet),
        ratios=[_ratio_row(each, found.ratios) for each in found.ratios],
        # Safe: matplotlib escapes the text it draws, and inline_svg escapes the description.
        svg=None if svg is None else Markup(figures.inline_svg(svg, STEM, CAPTION)),
        caption=CAPTION,
        operations=[name_of(operation) for operation in fleet.operations],
        hosts=rows[:_MOST_ROWS],
        hidden_hosts=max(0, len(rows) - _MOST_ROWS),
        units=units[:_MOST_ROWS],
        hidden_units=max(0, len(units) - _MOST_ROWS),
        left=[host.record for host in fleet.hosts if host.record.state != "measured"][:_MOST_ROWS],
    )


def _ratio_row(each: RatioOfFleet, every: tuple[RatioOfFleet, ...]) -> tuple[tuple[str, ...], bool]:
    cells = (each.ratio, percent(each.median), percent(each.kept), say_bound(each), str(each.hosts))
    # All DRAM is what is compared with, not an answer.
    return cells, each.share < 1 and each == find_safe(every)


def _host_rows(found: FleetFindings) -> list[tuple[str, str, bool, list[str]]]:
    """Name, state, whether it stands out, and its deviations; the furthest first."""
    out = {each.host.name for each in found.odd}

    def far(name: str) -> float:
        return max((abs(each.score) for each in found.deviations.get(name, {}).values()), default=0.0)

    hosts = sorted(found.fleet.hosts, key=lambda host: (host.name not in out, -far(host.name), host.name))
    return [
        (
            host.name,
            host.record.state,
            host.name in out,
            [
                f"{signed(by[operation].part * 100)} %" if operation in by else MISSING
                for by in (found.deviations.get(host.name, {}),)
                for operation in found.fleet.operations
            ],
        )
        for host in hosts
    ]


def _unit_rows(found: FleetFindings) -> list[tuple[str, ...]]:
    return [
        (
            name_of(unit.operation),
            unit.ratio,
            unit.what,
            f"{digits(middle)} {unit.unit}",
            f"{digits(low)} to {digits(high)}",
            *say_components(found.components[unit]),
        )
        for unit in found.fleet.units
        for low, middle, high in (_range(found.fleet, unit),)
    ]


def _range(fleet: Fleet, unit: Unit) -> tuple[float, float, float]:
    values = [host.median(unit) for host in fleet.measured if unit in host.launches]
    return min(values), float(np.median(values)), max(values)


def _hosts_frame(found: FleetFindings) -> pd.DataFrame:
    out = {each.host.name: "; ".join(map(say_deviation, each.by)) for each in found.odd}
    return pd.DataFrame(
        [
            {
                "host": host.name,
                "state": host.record.state,
                "reason": host.record.reason,
                "stands_out": out.get(host.name),
                **{
                    f"{operation}_better_percent": by[operation].part * 100 if operation in by else None
                    for operation in found.fleet.operations
                },
            }
            for host in found.fleet.hosts
            for by in (found.deviations.get(host.name, {}),)
        ]
    )


def _points_frame(found: FleetFindings) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "operation": unit.operation,
                "dram_share": unit.share,
                "parameters": unit.what,
                "unit": unit.unit,
                "least": low,
                "median": middle,
                "most": high,
                "between_hosts": None if parts is None else parts.between,
                "between_low": None if parts is None else parts.low,
                "between_high": None if parts is None else parts.high,
                "within_host": None if parts is None else parts.within,
            }
            for unit, parts in found.components.items()
            for low, middle, high in (_range(found.fleet, unit),)
        ]
    )
