"""A machine against the emulation of its own captured profile."""

from __future__ import annotations

from dataclasses import replace

from hmexp.errors import EmulationError, ParameterError
from hmexp.measure.quantity import predictable
from hmexp.memory.emulation import Emulation
from hmexp.pattern import Pattern
from hmexp.report.comparison.reading import Reading
from hmexp.report.comparison.readings import StoredRun


def profile_as_it_stands(run: StoredRun) -> Emulation:
    """What a run emulates, at the speeds of its profile: what the machine that it was captured from showed.

    Raises
    ------
    ParameterError
        If the run emulates nothing.
    """
    if run.run.emulation is None:
        raise ParameterError(
            f"{run.folder} does not emulate a profile, and of_profile compares a machine with one",
            "give the captured run first, and then the run with --emulate NODE=FILE",
        )
    scaled = Emulation.from_record(run.run.emulation)
    profile = scaled.profile
    speeds = {node: profile.slow if node in scaled.backing else profile.dram for node in scaled.speeds}
    return replace(scaled, speeds=speeds, absolute=True)


def held_against(profile: Emulation, a: Reading, b: Reading) -> Reading:
    """Reading A with what a profile says of the point; none of what the profile does not predict.

    Parameters
    ----------
    profile : Emulation
        From `profile_as_it_stands`.
    a : Reading
        Of the machine.
    b : Reading
        Of the emulation: its pattern has the emulation's numbers of nodes.
    """
    operation = predictable(str(b.parameters["operation"]))
    threads, access = b.parameters.get("threads"), b.parameters.get("access")
    if operation is None or access not in (None, "sequential"):
        return replace(a, model=None)
    # Nor are shapes compared: the figures of a profile are those of the machine's own loops.
    a = replace(a, shape=b.shape, of_plain=b.of_plain)
    nodes = Pattern.parse(str(b.parameters["pattern"])).nodes
    shares = {node: nodes.count(node) for node in set(nodes)}
    try:
        model = profile.predict(shares, operation, threads if isinstance(threads, int) else 1)
    except EmulationError:
        return replace(a, model=None)
    return replace(a, model=model)
