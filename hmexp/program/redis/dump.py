"""``python -m hmexp.program.redis.dump``: a BGSAVE of a running Redis under requests, measured; JSON out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from hmexp.errors import HmexpError
from hmexp.pattern import Pattern
from hmexp.program.client.client import Requests
from hmexp.program.redis.measured import Measuring, look_at
from hmexp.program.redis.server import attach_redis
from hmexp.store.redis_records import DumpRecord

_USUAL = Requests()


def main(words: list[str]) -> int:
    """Dump, compare, print; the status is 1 if the dump is not the data, or an answer was wrong."""
    given = _parser().parse_args(words)
    requests = Requests(
        keys=given.keys,
        value_bytes=given.value_bytes,
        read_percent=given.read_percent,
        zipf=given.zipf,
        rate=given.rate,
        connections=given.connections,
        seconds=given.seconds,
        warmup_seconds=0.0,
    )
    try:
        pattern = None if given.pattern is None else Pattern.parse(given.pattern)
        with attach_redis(given.socket) as server:
            found = Measuring(server, requests).snapshot(lambda pid: look_at(pid, pattern), requests)
    except HmexpError as error:
        sys.stderr.write(f"redis_dump: {error}\n")
        return 1
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    problem = _find_problem(found)
    if problem is None:
        return 0
    sys.stderr.write(f"redis_dump: {problem}\n")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hmexp.program.redis.dump", description=__doc__)
    parser.add_argument("--socket", type=Path, required=True, help="the server's Unix socket")
    parser.add_argument("--pattern", help="what placements are compared with, such as 0,2,2")
    parser.add_argument("--keys", type=int, default=_USUAL.keys, help="number of keys that were loaded")
    parser.add_argument("--value-bytes", type=int, default=_USUAL.value_bytes, help="size of each value")
    parser.add_argument("--read-percent", type=int, default=50, help="share of GET meanwhile")
    parser.add_argument("--zipf", type=float, default=0.0, help="exponent of Zipf's law; 0 is uniform")
    parser.add_argument("--rate", type=float, default=5000.0, help="requests per second meanwhile")
    parser.add_argument("--connections", type=int, default=_USUAL.connections, help="connections")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long requests are sent")
    return parser


def _find_problem(found: DumpRecord) -> str | None:
    snapshot, step = found.snapshot, found.requests.step
    if not snapshot.holds:
        return (
            f"the dump is not the data: digest {snapshot.digest_loaded}, not {snapshot.digest_before}; "
            f"{snapshot.loaded_wrong} keys wrong"
        )
    if snapshot.unread is not None:
        return f"no placement: {snapshot.unread}"
    if step.wrong or step.unanswered:
        return f"{step.wrong} wrong answers meanwhile, {step.unanswered} without an answer: {step.problem}"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
