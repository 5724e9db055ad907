"""The worker: a fresh process that measures one launch of a point and prints its record.

See `hmexp.process` for how it is asked, and `hmexp.experiment.kinds` for what it can measure.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from contextlib import ExitStack

import msgspec

from hmexp.errors import HmexpError, PlacementError, PlacerUnavailableError, PlacerUnsuitableError
from hmexp.experiment.kinds import Taken, find_kind, import_loops
from hmexp.experiment.launch_records import empty_record
from hmexp.experiment.task import Task, decode_task
from hmexp.fork_server import SERVE, serve
from hmexp.process import answer_once
from hmexp.store.evidence import PlacementRecord, Proof
from hmexp.store.parts import SettingRecord
from hmexp.store.records import LaunchRecord
from hmexp.store.writer import encode
from hmexp.system.limits import count_throttled
from hmexp.system.settings import ending_in_order, repair, without_numa_balancing


def run(task: Task) -> LaunchRecord:
    """Measure a launch; whatever happens is a record. Only what is to end the process is raised."""
    started = time.monotonic()
    record = empty_record(task)
    settings: dict[str, SettingRecord] = {}
    throttled = count_throttled()
    try:
        kind = find_kind(task.parameters)
        with ExitStack() as stack:
            found = {} if kind.balancing else stack.enter_context(without_numa_balancing())
            settings |= {name: setting.to_record() for name, setting in found.items()}
            taken = kind.measure(task)
        record = _measured(record, taken)
        settings |= taken.settings
    except (PlacerUnavailableError, PlacerUnsuitableError) as error:
        record = _failed(record, error, status="skipped")
    except PlacementError as error:
        record = msgspec.structs.replace(_failed(record, error), proof=_proof_of(error))
    except (HmexpError, MemoryError) as error:
        record = _failed(record, error)
    except Exception as error:  # noqa: BLE001 - a bug is a record too, or the point would be lost
        reason = f"{type(error).__name__}: {error}"
        record = msgspec.structs.replace(
            _failed(record, error), reason=reason, traceback=traceback.format_exc()
        )
    elapsed = round(time.monotonic() - started, 3)
    record = msgspec.structs.replace(record, settings=settings, elapsed_seconds=elapsed)
    now = count_throttled()
    if throttled is None or now is None or record.machine is None:
        return record
    machine = msgspec.structs.replace(record.machine, throttled=now - throttled)
    return msgspec.structs.replace(record, machine=machine)


def _measured(record: LaunchRecord, taken: Taken) -> LaunchRecord:
    return msgspec.structs.replace(
        record,
        status="ok",
        result=taken.result,
        setup=taken.setup,
        proof=taken.proof,
        # What the emulated nodes must show is not what was measured: there is no error to speak of.
        model=None if taken.host_bound else record.model,
    )


def _failed(record: LaunchRecord, error: BaseException, status: str = "failed") -> LaunchRecord:
    reason = str(error) or "out of memory"
    return msgspec.structs.replace(record, status=status, reason=reason, error=type(error).__name__)


def _proof_of(error: PlacementError) -> Proof:
    found = error.placement if isinstance(error.placement, PlacementRecord) else None
    return Proof(after=found) if error.stage == "after" else Proof(before=found)


def answer(question: bytes) -> bytes:
    """Measure what an encoded task asks for, and encode the record."""
    with ending_in_order():
        for message in repair():
            print(f"hmexp: {message}", file=sys.stderr)
        record = run(decode_task(question))
    return encode(record)


if __name__ == "__main__":
    if SERVE in sys.argv[2:3]:
        import_loops()
        serve(answer)
    else:
        answer_once(answer)
    # The record is out and the pages are given back: there is nothing to wait for.
    sys.stderr.flush()
    os._exit(0)
