"""What gatherer and host say to each other: plain JSON, checked on both sides."""

from __future__ import annotations

from importlib import metadata
from typing import Final, TypeVar

import msgspec

from hmexp.decoding import Decoder, decoder
from hmexp.errors import HmexpError
from hmexp.experiment.protocol import Options
from hmexp.experiment.task import Task
from hmexp.store.machine import Calibration, EmulationRecord
from hmexp.store.parts import Start
from hmexp.store.schema import SCHEMA, Remark

#: A message that is longer is not one of ours [bytes].
LONGEST_BYTES: Final = 256 << 20
#: Of this hmexp.
VERSION: Final = metadata.version("hmexp")
_SHOWN: Final = 300


class FleetError(HmexpError):
    """A host cannot take part in a fleet, or the fleet cannot be reached; the message names it."""


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="message"):
    """A message; `message` says which one."""


class HostQuestion(Message, frozen=True, kw_only=True, gc=False):
    """What every question says of the gatherer.

    Parameters
    ----------
    version : str
        Version of hmexp.
    schema : int
        Schema of the records.
    """

    version: str = VERSION
    schema: int = SCHEMA


class Greet(Message, frozen=True, kw_only=True, gc=False, tag="greet"):
    """Who are you? Understood by every version."""


class MakePlan(HostQuestion, frozen=True, kw_only=True, gc=False, tag="plan"):
    """What would you measure?

    Parameters
    ----------
    measurement : str
        `sweep`, `matrix`, `curves` or `program`.
    parameters : dict of str to remark
        Its parameters.
    files : dict of str to str
        What is in the files that they name, by the name they have there.
    """

    measurement: str
    parameters: dict[str, Remark]
    files: dict[str, str] = {}


class Calibrate(MakePlan, frozen=True, kw_only=True, gc=False, tag="calibrate"):
    """Measure yourself, to scale the emulated node of that plan."""


class Whose(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Of which fleet, and as which host.

    Parameters
    ----------
    fleet, host : str
        Their names, which are parts of paths.
    """

    fleet: str
    host: str


class TellKept(HostQuestion, frozen=True, kw_only=True, gc=False, tag="kept"):
    """Which finished launches of this fleet do you have?

    Parameters
    ----------
    whose : Whose
        Of which fleet, and as which host.
    """

    whose: Whose


class Forget(TellKept, frozen=True, kw_only=True, gc=False, tag="forget"):
    """All of this fleet is stored: what was kept of it may go."""


class Measure(TellKept, frozen=True, kw_only=True, gc=False, tag="measure"):
    """Measure a launch.

    Parameters
    ----------
    task : Task
        What to measure.
    timeout_seconds : float
        Longest time of the launch [s].
    start : str
        How its process begins.
    """

    task: Task
    timeout_seconds: float
    start: Start


class Greeting(Message, frozen=True, kw_only=True, gc=False, tag="greeting"):
    """Who a host is.

    Parameters
    ----------
    name : str
        What the machine calls itself.
    boot : str
        Id of the running kernel: the same for all that share the machine, containers too.
    version : str
        Version of hmexp.
    schema : int
        Schema of its records.
    now : float
        Its clock [s since 1970].
    """

    name: str
    boot: str
    version: str
    schema: int
    now: float


class HostPoint(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A point of a host's plan.

    Parameters
    ----------
    task : Task
        What a worker is asked for its first launch; without emulated nodes.
    launches : int
        Fresh processes that measure it.
    alike : tuple of (str, int)
        What launches that take about as long have in common.
    rank : int
        Its place where there is a budget of time.
    text : str
        The point for people.
    """

    task: Task
    launches: int
    alike: tuple[str, int]
    rank: int
    text: str


class HostPlan(Message, frozen=True, kw_only=True, gc=False, tag="host_plan"):
    """What a host would measure.

    Parameters
    ----------
    run : Raw
        The first content of its `run.json`.
    points : tuple of HostPoint
        Every point.
    added : tuple of str
        Ids of the points that were not asked for.
    baselines : dict of str to str
        Id of the all-DRAM point that a point is compared with, by the point's own.
    options : Options
        How it is to be carried out.
    """

    run: msgspec.Raw
    points: tuple[HostPoint, ...]
    added: tuple[str, ...] = ()
    baselines: dict[str, str] = {}
    options: Options


class Calibrated(Message, frozen=True, kw_only=True, gc=False, tag="calibrated"):
    """The emulated nodes of a host.

    Parameters
    ----------
    emulation : EmulationRecord or None
        None where nothing is emulated.
    calibration : tuple of Calibration
        What was measured for it.
    """

    emulation: EmulationRecord | None = None
    calibration: tuple[Calibration, ...] = ()


class Records(Message, frozen=True, kw_only=True, gc=False, tag="records"):
    """Records of launches.

    Parameters
    ----------
    launches : tuple of Raw
        Each as JSON: a line of `launches.jsonl`.
    """

    launches: tuple[msgspec.Raw, ...] = ()


class Refusal(Message, frozen=True, kw_only=True, gc=False, tag="refusal"):
    """A host did not do what was asked.

    Parameters
    ----------
    reason : str
        Why.
    remedy : str or None
        What to do about it.
    """

    reason: str
    remedy: str | None = None


Asked = Greet | MakePlan | Calibrate | TellKept | Forget | Measure
Answer = Greeting | HostPlan | Calibrated | Records | Refusal
A = TypeVar("A", bound=Message)
_questions: Final[Decoder[Asked]] = decoder(Asked)
_answers: Final[Decoder[Answer]] = decoder(Answer)
encode: Final = msgspec.json.encode


def read_question(text: bytes) -> Asked:
    """Read what a gatherer asks.

    Raises
    ------
    FleetError
        If this hmexp does not understand it.
    """
    try:
        return _questions.decode(text)
    except (ValueError, RecursionError) as error:
        raise FleetError(f"the gatherer asks what this hmexp does not understand: {error}") from error


def read_answer(text: object, wanted: type[A], host: str) -> A:
    """Read what a host has answered; it may be anything.

    Parameters
    ----------
    text : object
        What came.
    wanted : type
        The answer to the question.
    host : str
        The host's name, for errors.

    Raises
    ------
    FleetError
        If the host refused, or its answer is none.
    """
    if not isinstance(text, bytes) or len(text) > LONGEST_BYTES:
        raise FleetError(f"host {host}: its answer is not a message of hmexp")
    try:
        answer = _answers.decode(text)
    except (ValueError, RecursionError) as error:
        raise FleetError(f"host {host}: its answer cannot be read: {error}") from error
    if isinstance(answer, Refusal):
        raise FleetError(f"host {host}: {answer.reason[:_SHOWN]}", answer.remedy and answer.remedy[:_SHOWN])
    if not isinstance(answer, wanted):
        raise FleetError(f"host {host}: it answers another question")
    return answer
