"""The commands ``hmexp study placers`` and ``hmexp study granularity``, for those who do not open Jupyter."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

from hmexp.progress import stream_display
from hmexp.study.experiment import Study, run_study
from hmexp.study.granularity import GranuleParameters, make_granule_study
from hmexp.study.placers import PlacerParameters, make_placer_study
from hmexp.system.libnuma import LibNuma
from hmexp.system.topology import Topology, read_topology

_STUDIES: tuple[tuple[str, str, type[Any]], ...] = (
    ("placers", "what each placer costs, and what its placement survives", PlacerParameters),
    ("granularity", "bandwidth and latency against the granule, and their spread", GranuleParameters),
)


def add_commands(commands: Any) -> None:
    """Add the command to the parser's."""
    study = commands.add_parser(
        "study", help="placers or granularity: the notebooks' measurements, without Jupyter"
    )
    kinds = study.add_subparsers(required=True, metavar="STUDY")
    for name, help_text, parameters in _STUDIES:
        parser = kinds.add_parser(name, help=help_text, description=help_text, allow_abbrev=False)
        for field in fields(parameters):
            default: Any = field.default
            many = isinstance(default, tuple)
            shown = " ".join(default) if many else default
            parser.add_argument(
                f"--{field.name.replace('_', '-')}",
                dest=f"given_{field.name}",
                nargs="+" if many else None,
                type=str if many else type(default),
                help=f"as in the notebook (default: {shown})",
            )
        parser.set_defaults(run=_run, study=name)


def _run(options: argparse.Namespace) -> int:
    # matplotlib and pandas take their time: not for every other command.
    from hmexp.report.study.files import write_study

    topology = read_topology(libnuma=LibNuma.load())
    study = _make(options, topology)
    print(study.headline)
    for note in study.notes:
        print(f"Note: {note}")
    written: list[Path] = []
    outcome = run_study(study, stream_display(), report=lambda run: written.extend(write_study(run)))
    for path in written:
        print(f"Written: {path}")
    outcome.require_complete()
    return 0


def _make(options: argparse.Namespace, topology: Topology) -> Study:
    kind: type[Any] = next(parameters for name, _, parameters in _STUDIES if name == options.study)
    given = {field.name: getattr(options, f"given_{field.name}") for field in fields(kind)}
    parameters = kind.from_mapping({name: value for name, value in given.items() if value is not None})
    if isinstance(parameters, PlacerParameters):
        return make_placer_study(parameters, topology)
    return make_granule_study(parameters, topology)
