"""What the report of a fleet says in sentences."""

from __future__ import annotations

from dataclasses import dataclass

from hmexp.report.fleet.outliers import LEAST_HOSTS, Deviation, OddHost
from hmexp.report.fleet.reading import Fleet
from hmexp.report.fleet.safety import RatioOfFleet, find_safe
from hmexp.report.fleet.variation import Components
from hmexp.report.model.advice import KEEP
from hmexp.report.model.needs import name_of
from hmexp.report.run.numbers import MISSING, digits, percent

#: Hosts that one sentence names.
_NAMED = 3
#: They measure nodes and layouts, and compare none of them with all DRAM.
_WITHOUT_RATIOS = ("matrix", "curves")
#: Launches of each point that tell hosts from launches well enough.
_ENOUGH_LAUNCHES = 3


@dataclass(frozen=True)
class FleetVerdict:
    """What the first page says.

    Parameters
    ----------
    say, why : str
        The verdict, and what it rests on.
    css : str
        `good`, `warn` or `bad`.
    """

    say: str
    why: str
    css: str


def say_question(fleet: Fleet) -> str:
    """What the page answers."""
    count = len(fleet.measured)
    if fleet.record.measurement in _WITHOUT_RATIOS:
        return f"Do these {count} hosts agree, and which stand out?"
    return f"Do these {count} hosts agree, which stand out, and which ratio is safe on 95 % of them?"


def say_verdict(fleet: Fleet, odd: tuple[OddHost, ...], ratios: tuple[RatioOfFleet, ...]) -> FleetVerdict:
    """Put the whole into two sentences."""
    if len(fleet.measured) < 2:
        return FleetVerdict(
            "Nothing can be compared: fewer than two hosts have numbers.",
            "The hosts and what became of them are listed below.",
            "warn",
        )
    safe = say_safe(fleet, ratios)
    if odd:
        names = ", ".join(each.host.name for each in odd[:_NAMED])
        more = f" and {len(odd) - _NAMED} more" if len(odd) > _NAMED else ""
        stand = "stands" if len(odd) == 1 else "stand"
        return FleetVerdict(f"{names}{more} {stand} out.{safe}", say_odd(odd[0]), "bad")
    if len(fleet.measured) < LEAST_HOSTS:
        return FleetVerdict(
            f"Two hosts cannot show which one is odd.{safe}",
            "Three or more hosts are needed for that.",
            "warn",
        )
    return FleetVerdict(
        f"No host stands out.{safe}",
        "Every host is within what the spread of all and the noise of launches explain.",
        "good",
    )


def say_odd(odd: OddHost) -> str:
    """How a host stands out, and what sets its machine apart."""
    by = "; ".join(say_deviation(each) for each in odd.by)
    facts = "; ".join(map(str, odd.facts[:3]))
    return f"{odd.host.name}: {by}. " + (
        f"What sets its machine apart: {facts}."
        if facts
        else "No recorded fact of its machine differs from the others: look at what is not recorded."
    )


def say_deviation(deviation: Deviation) -> str:
    """How far a host is from the middle in one operation."""
    word = "better" if deviation.part > 0 else "worse"
    return (
        f"{name_of(deviation.operation)} is {percent(abs(deviation.part))} {word} than the middle of all "
        f"(z {deviation.score:.1f})"
    )


def say_safe(fleet: Fleet, ratios: tuple[RatioOfFleet, ...]) -> str:
    """Which ratio is safe on nearly all hosts; a space before it, or nothing where that was not asked."""
    if fleet.record.measurement in _WITHOUT_RATIOS:
        return ""
    mixed = [each for each in ratios if each.share < 1]
    if not mixed:
        return " No ratio with slow memory was measured."
    safe, kept_of = find_safe(ratios), say_kept(fleet)
    if safe is None or safe.share >= 1:
        return f" No measured ratio keeps {percent(KEEP)} of {kept_of} on 95 % of the hosts."
    return (
        f" {safe.ratio} is safe: 95 % of the measured hosts keep {percent(safe.kept)} or more of {kept_of}."
    )


def say_kept(fleet: Fleet) -> str:
    """What a ratio keeps a part of."""
    return "the speed on DRAM alone" if fleet.record.measurement == "program" else "all DRAM's bandwidth"


def say_bound(each: RatioOfFleet) -> str:
    """What is known of hosts that were not measured."""
    return MISSING if each.bound is None else percent(each.bound)


def say_components(found: Components | None) -> tuple[str, str, str]:
    """The spread between hosts, its interval, and the spread within."""
    if found is None:
        return MISSING, MISSING, MISSING
    interval = MISSING
    if found.low is not None and found.high is not None:
        interval = f"{_share(found.low)} to {_share(found.high)}"
    return _share(found.between), interval, MISSING if found.within is None else _share(found.within)


def _share(part: float) -> str:
    return f"{digits(part * 100, 2)} %"


def grounds(fleet: Fleet, ratios: tuple[RatioOfFleet, ...]) -> list[tuple[str, str, str]]:
    """How far to trust the page: level, name and sentence of each ground."""
    found = [
        ("warn", "emulated" if label.startswith("EMULATED") else "times", label) for label in fleet.labels
    ]
    if fleet.record.shared:
        found.append(
            (
                "bad",
                "one machine",
                "the hosts are processes of one machine, which they share: a trial",
            )
        )
    lost = [host for host in fleet.hosts if host.record.state != "measured"]
    found.append(
        (
            "warn" if lost else "good",
            "hosts",
            f"{len(fleet.hosts) - len(lost)} of {len(fleet.hosts)} hosts are measured whole",
        )
    )
    launches = min((len(each) for host in fleet.measured for each in host.launches.values()), default=0)
    found.append(
        (
            "good" if launches >= _ENOUGH_LAUNCHES else "warn",
            "launches",
            f"each point has at least {launches} fresh processes on each host",
        )
    )
    bound = any(each.bound is not None for each in ratios)
    if ratios:
        text = (
            "there are enough hosts to speak of 95 % of hosts like these"
            if bound
            else "what is said of 95 % of the hosts is of these alone; to speak of others takes 59"
        )
        found.append(("good" if bound else "warn", "sample", text))
    if fleet.left_out:
        found.append(
            ("warn", "kinds", f"{fleet.left_out} points are of kinds that are not compared between hosts")
        )
    return found
