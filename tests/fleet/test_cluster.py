"""Fleets of real worker processes of Dask, on loopback."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hmexp.store.fleet import read_fleet

pytestmark = pytest.mark.slow

PLUGIN = Path(__file__).with_name("plugin.py")
KILLS = Path(__file__).resolve().parents[2] / "benchmarks" / "fleet_kills.py"
SWEEP = (
    "sweep", "--size", "1MiB", "--patterns", "0", "--operations", "read", "--launches", "2", "--samples", "1",
    "--sample-seconds", "0.001", "--precision", "0", "--emulate", "none", "--threads", "1",
)  # fmt: skip
BALANCING = "numa_balancing"


def fleet(
    tmp_path: Path, *words: str, wishes: object = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `hmexp fleet`; its workers do what the wishes say."""
    given = os.environ | {
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "DASK_TEMPORARY_DIRECTORY": str(tmp_path / "dask"),
        "DASK_DISTRIBUTED__WORKER__PRELOAD": str(PLUGIN),
        "HMEXP_TEST_FLEET": json.dumps(wishes or {}),
        "MPLCONFIGDIR": str(tmp_path / "mpl"),
        **environment,
    }
    return subprocess.run(
        [sys.executable, "-m", "hmexp", "fleet", *words, "--results", str(tmp_path / "results")],
        capture_output=True, text=True, env=given, cwd=tmp_path, timeout=600,
    )  # fmt: skip


def test_a_slow_host_is_named_with_its_setting_and_a_newer_one_refused(tmp_path: Path) -> None:
    wishes = {
        str(number): {
            "facts": {"numa_balancing": int(number == 2), "microcode": ["0x1"]},
            "factor": 0.8 if number == 2 else 1.0,
        }
        for number in range(4)
    }  # fmt: skip
    wishes["4"] = {"schema": 99}
    wishes["3"]["clock"] = 3600  # type: ignore[assignment]
    # A patience that the test does not have: a host that is refused has come, and is not waited for.
    done = fleet(tmp_path, "--local", "5", "--patience", "3000", "--", *SWEEP, wishes=wishes)
    # One host is not measured: it is the one of another schema.
    assert done.returncode == 1, done.stderr
    assert "host-4 (refused)" in done.stderr and "schema 99" in done.stderr
    assert "host-2 stands out" in done.stdout and f"{BALANCING} is 1 here, 0 on the others" in done.stdout
    assert "The clock of host host-3 is 3600 s ahead" in done.stderr
    folder = next((tmp_path / "results").glob("fleet-*"))
    states = {host.name: host.state for host in read_fleet(folder).hosts}
    assert states == {**{f"host-{number}": "measured" for number in range(4)}, "host-4": "refused"}
    for number in range(4):
        lines = (folder / "hosts" / f"host-{number}" / "launches.jsonl").read_bytes().splitlines()
        assert len(lines) == 2
    assert not (folder / "hosts" / "host-4").exists()
    assert "host-2" in (folder / "report.html").read_text()


def test_no_pickled_object_of_a_host_is_read(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    done = fleet(
        tmp_path, "--local", "2", "--patience", "120", "--", *SWEEP, wishes={"0": {"trap": str(trap)}}
    )  # fmt: skip
    assert not trap.exists()
    folder = next((tmp_path / "results").glob("fleet-*"))
    states = {host.name: host.state for host in read_fleet(folder).hosts}
    assert states == {"host-0": "refused", "host-1": "measured"}, done.stderr


WORKLOAD = """
title = "a program that adds numbers"
about = "Python adds numbers"
needs = ["python3"]

[parameters]
count = 100000

[program]
command = "python3 -c 'print(sum(list(range({count}))))'"

[[metrics]]
name = "elapsed"
unit = "s"
better = "lower"
source = "elapsed"
"""


def rows_of(folder: Path) -> list[dict[str, str]]:
    """The rows of the table of a fleet."""
    return list(csv.DictReader((folder / "points.csv").read_text().splitlines()))


def test_a_fleet_of_a_program(tmp_path: Path) -> None:
    (tmp_path / "adding.toml").write_text(WORKLOAD)
    words = ("program", "adding.toml", "--launches", "2", "--values", "count=1000")
    done = fleet(tmp_path, "--local", "3", "--patience", "120", "--", *words)
    assert done.returncode == 0, done.stderr
    folder = next((tmp_path / "results").glob("fleet-*"))
    for host in ("host-0", "host-1", "host-2"):
        lines = (folder / "hosts" / host / "points.jsonl").read_bytes().splitlines()
        records = [json.loads(line) for line in lines]
        assert {record["status"] for record in records} == {"ok"}
        assert records[0]["parameters"]["definition"]["parameters"] == {"count": 1000}
    rows = rows_of(folder)
    assert {(row["operation"], row["unit"]) for row in rows} == {("elapsed", "s")}
    assert {row["parameters"] for row in rows} == {"adding by auto", "adding by node"}
    assert "elapsed" in (folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("words", "operations"),
    [
        ("curves --reads 100 --patterns 0 --threads 1", {"peak bandwidth", "idle latency"}),
        ("matrix --operations read latency", {"read", "latency"}),
    ],
)
def test_a_fleet_of_curves_or_of_a_matrix(tmp_path: Path, words: str, operations: set[str]) -> None:
    short = "--size 4MiB --emulate none --launches 1 --samples 1 --sample-seconds 0.001"
    done = fleet(tmp_path, "--local", "2", "--patience", "120", "--", *words.split(), *short.split())
    assert done.returncode == 0, done.stderr
    folder = next((tmp_path / "results").glob("fleet-*"))
    assert {row["operation"] for row in rows_of(folder)} == operations


def make_certificates(folder: Path) -> dict[str, str]:
    """An authority and a certificate that it has signed, as settings of Dask."""
    folder.mkdir()
    ca, key = folder / "ca.pem", folder / "ca-key.pem"
    cert, own = folder / "cert.pem", folder / "key.pem"
    request = folder / "request.pem"
    new = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj"]
    for words in (
        [*new, "/CN=authority", "-x509", "-days", "2", "-keyout", str(key), "-out", str(ca)],
        [*new, "/CN=fleet", "-keyout", str(own), "-out", str(request)],
        ["openssl", "x509", "-req", "-days", "2", "-in", str(request), "-CA", str(ca), "-CAkey", str(key),
         "-CAcreateserial", "-out", str(cert)],
    ):  # fmt: skip
        subprocess.run(words, check=True, capture_output=True)
    given = {
        "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": str(ca),
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True",
    }
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        given[f"DASK_DISTRIBUTED__COMM__TLS__{role}__CERT"] = str(cert)
        given[f"DASK_DISTRIBUTED__COMM__TLS__{role}__KEY"] = str(own)
    return given


def test_a_fleet_over_tls(tmp_path: Path) -> None:
    good = make_certificates(tmp_path / "good")
    done = fleet(tmp_path, "--local", "1", "--patience", "120", "--", *SWEEP, **good)
    assert done.returncode == 0, done.stderr
    folder = next((tmp_path / "results").glob("fleet-*"))
    assert [host.state for host in read_fleet(folder).hosts] == ["measured"]


def test_a_gatherer_whose_certificate_another_authority_signed_is_not_let_in(tmp_path: Path) -> None:
    good, bad = make_certificates(tmp_path / "good"), make_certificates(tmp_path / "bad")
    scheduler = subprocess.Popen(
        [sys.executable, "-m", "dask", "scheduler", "--protocol", "tls", "--host", "127.0.0.1", "--port", "0",
         "--no-dashboard", "--scheduler-file", str(tmp_path / "scheduler.json")],
        env=os.environ | good, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert scheduler.stderr is not None
        line = next(line for line in scheduler.stderr if "tls://" in line)
        address = line[line.index("tls://") :].strip()
        done = fleet(tmp_path, "--scheduler", address, "--patience", "1", "--", *SWEEP, **bad)
    finally:
        scheduler.kill()
        scheduler.communicate()
    assert done.returncode == 2
    assert f"the scheduler at {address} cannot be reached" in done.stderr


def test_kills_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(KILLS), "--kills", "6", "--hosts", "2", "--launches", "3", "--minutes", "8"],
        capture_output=True, text=True, env=os.environ | {"TMPDIR": str(tmp_path)}, timeout=900,
    )  # fmt: skip
    assert "0 lost, 0 stored twice, 0 measured twice" in done.stdout, done.stdout + done.stderr
