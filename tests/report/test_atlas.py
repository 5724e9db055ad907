"""Profiles captured from runs, and bundles of them: what is in them, and what cannot be."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
import os
import random
import re
import socket
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp.cli.profile import _import as import_bundle
from hmexp.errors import HmexpError, ParameterError, StoreError
from hmexp.memory.emulation import Emulation, EmulationRequest
from hmexp.memory.profile import Profile
from hmexp.memory.profile_text import to_toml
from hmexp.memory.speed import FIGURES, NodeSpeed
from hmexp.native import Load, replay_bandwidth
from hmexp.pattern import Pattern
from hmexp.report.atlas.allowed import ALLOWED, leaves, require_allowed, spell
from hmexp.report.atlas.bundle import MOST_BYTES, Bundle, checksum_of, make_bundle, parse_bundle, read_bundle
from hmexp.report.atlas.capture import Captured, capture
from hmexp.report.atlas.figures import side_by_side
from hmexp.store.curves import LoadedRate
from hmexp.store.details import LoadedDetails
from hmexp.store.parameters import CurvePoint
from hmexp.store.provenance import Provenance
from hmexp.store.reader import POINTS, RUN
from hmexp.store.records import PointRecord, RunRecord
from hmexp.store.results import Measured

EXAMPLE = Path(__file__).resolve().parents[2] / "results" / "example"
ABLE = NodeSpeed(1e5, 1e5, 1.0, 1e5, 1.0, 1.0)


@pytest.fixture(scope="module")
def captured() -> Captured:
    return capture(EXAMPLE)


@pytest.fixture(scope="module")
def bundle(captured: Captured) -> Bundle:
    return make_bundle(captured)


def run_of_curves(folder: Path, **changes: Any) -> Path:
    """A run of the duplex node's and its DRAM's published peaks, each curve with a knee."""
    truth = Profile.load("cxl-duplex")
    points = []
    for node, speed in (("0", truth.dram), ("2", truth.slow)):
        for share in (0.0, 20.0, 40.0, 60.0, 80.0, 100.0):
            peak = 1 / speed.busy_ns(share / 100, 1 - share / 100, nontemporal=True)
            rates = [
                LoadedRate(delay_ns=delay, load_gbps=peak * part, median=speed.latency_ns * rise)
                for delay, part, rise in ((None, 0.0, 1.0), (500, 0.5, 1.1), (100, 0.9, 1.3), (0, 1.0, 3.0))
            ]
            parameters = CurvePoint(
                pattern=node, granule_bytes=4096, size_bytes=1 << 20, placer="first_touch",
                read_percent=share, stores="nt", threads=4, samples=1, sample_seconds=0.01,
                delays_ns=(500, 100, 0),
            )  # fmt: skip
            details = LoadedDetails(curve=tuple(rates))
            result = Measured(unit="ns", samples=(300.0,), n=1, median=300.0, details=details)
            name = f"{node}-{share:g}"
            points.append(PointRecord(point_id=name, status="ok", parameters=parameters, result=result))
    run = RunRecord(
        name="curves-secret-name", plan="p", study="curves", started="2026-11-27T06:00:00Z", dram_nodes=(0,),
        provenance=Provenance(cpu_model="Some CPU @ 2.00GHz", kernel="6.12.1-secret"),
    )  # fmt: skip
    run = msgspec.structs.replace(run, **changes)
    folder.mkdir(exist_ok=True)
    (folder / RUN).write_bytes(msgspec.json.encode(run))
    (folder / POINTS).write_bytes(b"".join(msgspec.json.encode(point) + b"\n" for point in points))
    return folder


def test_a_sweep_gives_its_fastest_figures_with_their_intervals(captured: Captured) -> None:
    profile = captured.profile
    assert profile.slow.read_gbps < profile.dram.read_gbps
    assert set(profile.intervals) == {
        f"{part}.{FIGURES[name]}" for part in ("dram", "slow") for name in ("read", "write", "latency")
    }  # fmt: skip
    rows = [json.loads(line) for line in (EXAMPLE / POINTS).read_text().splitlines()]
    reads = [
        row["result"]["median"]
        for row in rows
        if row["parameters"]["pattern"] == "2" and row["parameters"]["operation"] == "read"
    ]
    assert profile.slow.read_gbps == max(reads)
    # The slow node is emulated there, and whatever is made of it says so.
    assert profile.kind == "nvm" and profile.title.startswith("EMULATED DRAM and nvm")


def test_curves_give_a_family_and_what_carries_it(tmp_path: Path) -> None:
    found = capture(run_of_curves(tmp_path / "run"))
    truth = Profile.load("cxl-duplex")
    for mine, published in ((found.profile.dram, truth.dram), (found.profile.slow, truth.slow)):
        assert mine.carriers is not None and published.carriers is not None and mine.family is not None
        for share in (0.0, 0.3, 0.58, 1.0):
            assert mine.carriers.peak_gbps(share) == pytest.approx(
                published.carriers.peak_gbps(share), rel=0.03
            )
        assert mine.latency_ns == pytest.approx(published.latency_ns)
    assert found.profile.kind == "unknown"
    assert len(found.points) == 12 and not [note for note in found.notes if "saturated" in note]


def test_a_run_without_what_a_profile_needs_is_refused(tmp_path: Path) -> None:
    invalid = run_of_curves(tmp_path / "a", timing_valid=False, timing_note="the CPU is emulated")
    with pytest.raises(StoreError, match="mean nothing: the CPU is emulated"):
        capture(invalid)
    nothing = run_of_curves(tmp_path / "b")
    (nothing / POINTS).write_text("")
    with pytest.raises(StoreError, match="no node alone"):
        capture(nothing)
    reads = tmp_path / "c"
    reads.mkdir()
    (reads / RUN).write_text((EXAMPLE / RUN).read_text())
    lines = (EXAMPLE / POINTS).read_text().splitlines(keepends=True)
    (reads / POINTS).write_text("".join(line for line in lines if '"operation":"read"' in line))
    with pytest.raises(StoreError, match="not measured write, latency of node 0 alone"):
        capture(reads)


def test_capture_export_import_and_emulation_give_the_figures_again(tmp_path: Path) -> None:
    """The whole way, to what the core's servers show, without a clock: within what was captured."""
    path = tmp_path / "bundle.json"
    path.write_text(make_bundle(capture(run_of_curves(tmp_path / "run"))).to_json())
    target = tmp_path / "mine.toml"
    target.write_text(to_toml(read_bundle(path).profile))
    request = EmulationRequest.parse(f"2={target}@absolute")
    emulation = Emulation.scale_to_host(request, ABLE, [0], 0)
    truth = Profile.load("cxl-duplex")
    for node, speed in ((0, truth.dram), (2, truth.slow)):
        for operation in ("read", "write", "write_nt", "mix_1_1_nt", "copy"):
            model = emulation.node_model(Pattern((node,)), 2)
            shown = replay_bandwidth(model, Load(operation, 2, burst_bytes=4096), 3000)
            assert shown == pytest.approx(1 / speed.occupation_ns(operation, 2), rel=0.05), (node, operation)


def test_every_string_is_on_the_list_and_of_its_form(bundle: Bundle) -> None:
    found = list(leaves(json.loads(bundle.to_json())))
    assert len(found) > 20
    assert {place for place, _ in found} <= set(ALLOWED)
    require_allowed(json.loads(bundle.to_json()), "the example")
    assert parse_bundle(bundle.to_json().encode(), "it") == bundle


def test_nothing_of_the_host_the_user_or_a_path_is_in_a_bundle(tmp_path: Path, bundle: Bundle) -> None:
    mine = make_bundle(capture(run_of_curves(tmp_path / "run")))
    for text in (bundle.to_json(), mine.to_json()):
        for name in (
            socket.gethostname(),
            getpass.getuser(),
            str(Path.home()),
            str(tmp_path),
            "secret",
            "/",
            "@",
        ):
            if len(name) > 3 or name in "/@":
                inside = text.replace("GB/s", "") if name == "/" else text
                assert name not in inside, name


@pytest.mark.parametrize(
    "changes",
    [
        {"cpu_model": "CPU of /home/somebody"},
        {"cpu_model": "CPU <script>alert(1)</script> \x1b[31m\n\x00"},
        {"cpu_model": "serial@example.org 10.0.0.1 \\\\server"},
        {"kernel": "6.1.2-host.example.org"},
        {"kernel": "/boot/vmlinuz"},
        {"python": "3.11.7; at /usr"},
        {"architecture": "my machine"},
        {"thp_enabled": "/sys"},
        {"packages": {"hmexp": "0.1.0+g/home/x", "numpy": None}},
    ],
)
def test_odd_words_of_a_machine_are_left_out_or_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    provenance = msgspec.structs.replace(Provenance(), **changes)
    found = capture(run_of_curves(tmp_path / "run", provenance=provenance))
    text = ""
    with contextlib.suppress(ParameterError):
        text = make_bundle(found).to_json()
    for bad in ("<", "\\", "\x1b", "@", "/home", "/boot", "example.org/", "host.example"):
        assert bad not in text


def test_the_name_of_this_host_is_refused_wherever_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "bertha.example.org")
    found = capture(run_of_curves(tmp_path / "run", provenance=Provenance(cpu_model="CPU of Bertha")))
    with pytest.raises(ParameterError, match=r"content\.profile\.title has the name of this host"):
        make_bundle(found)


def test_the_bundles_of_the_atlas_are_sound_and_named_by_their_checksums() -> None:
    paths = sorted((EXAMPLE.parent / "atlas").glob("*.json"))
    bundles = [read_bundle(path) for path in paths]
    assert len(bundles) >= 2 and [bundle.name for bundle in bundles] == [path.stem for path in paths]
    for bundle in bundles:
        assert all(point.misplaced == 0 and point.pages for point in bundle.content.points)
        assert "EMULATED" in bundle.profile.title if bundle.content.emulated else True
    texts = [text.get_text() for axes in side_by_side(bundles).axes for text in axes.get_yticklabels()]
    assert all(any(bundle.name in text for text in texts) for bundle in bundles)


def test_what_was_changed_is_refused(bundle: Bundle) -> None:
    text = bundle.to_json()
    content = json.loads(text)
    content["content"]["profile"]["dram"]["read_gbps"] *= 1.001
    content["content"]["profile"]["dram"].pop("intervals")
    with pytest.raises(ParameterError, match="was changed"):
        parse_bundle(json.dumps(content).encode(), "it")
    content = json.loads(text)
    content["content"]["host"] = "me"
    with pytest.raises(ParameterError, match="unknown field `host`"):
        parse_bundle(json.dumps(content).encode(), "it")
    with pytest.raises(ParameterError, match="another format"):
        parse_bundle(text.replace("hmexp-atlas-1", "hmexp-atlas-9").encode(), "it")
    with pytest.raises(ParameterError, match="longer than"):
        parse_bundle(b" " * (MOST_BYTES + 1), "it")
    # How the file is written does not matter.
    assert parse_bundle(json.dumps(json.loads(text)).encode(), "it") == bundle


EVIL: list[Any] = [
    "", "x" * 5000, "/etc/passwd", "../../x", "\x1b]0;x", "<b>", None, True, -1, 1e308, 2**70, [], {}, [[]],
    {"a": {}}, "\ud800", float("inf"), "0" * 64, "\u202e", {"__class__": "x"}, [1, "2", {"3": 4}],
]  # fmt: skip


def fuzz(text: str, chance: random.Random) -> bytes:
    """Something near a bundle: with a value exchanged, a key renamed, or its bytes damaged."""
    if chance.random() < 0.4:
        raw = bytearray(text.encode())
        for _ in range(chance.randint(1, 8)):
            at = chance.randrange(len(raw))
            match chance.randrange(3):
                case 0:
                    raw[at] = chance.randrange(256)
                case 1:
                    del raw[at : at + chance.randint(1, 200)]
                case _:
                    raw[at:at] = bytes(chance.randrange(256) for _ in range(3))
        return bytes(raw)
    data = json.loads(text)
    place: Any = data
    while isinstance(place, dict | list) and place:
        key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
        inner = place[key]
        if not isinstance(inner, dict | list) or chance.random() < 0.2:
            if isinstance(place, dict) and chance.random() < 0.2:
                place[chance.choice(["../x", "title", "\x00", "dram"])] = place.pop(key)
            else:
                place[key] = chance.choice(EVIL)
            break
        place = inner
    # Half of them with a checksum that is right again, so that what comes after it is reached.
    if chance.random() < 0.5:
        try:
            content = msgspec.convert(data["content"], type=type(parse_bundle(text.encode(), "it").content))
            data["checksum"] = checksum_of(content)
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError, RecursionError):
            pass
    return json.dumps(data).encode("utf-8", errors="surrogatepass")


def only_in(folder: Path, watched: list[bool]) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook: whatever this process opens for writing, makes, renames or removes is in one folder."""
    calls = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate"}

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if not watched[0] or not (event == "open" or event in calls):
            return
        if event == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        paths = [each for each in arguments[:2] if isinstance(each, str | bytes | os.PathLike)]
        for path in paths[:1] if event == "open" else paths:
            if folder != Path(os.fsdecode(path)).absolute().parent:
                raise AssertionError(f"{event} of {path!r}, outside {folder}")

    return hook


#: `HMEXP_FUZZ=100000 pytest -s -k fuzzed tests/report/test_atlas.py` is what is tried before a release; a few
#: hundred belong to every run of the tests.
def test_fuzzed_bundles_are_imported_or_refused_and_write_nothing_else(
    tmp_path: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = argparse.Namespace(bundle=Path("bundle.json"), output=None)
    chance, text, tally = random.Random(1977), bundle.to_json(), Counter[str]()
    monkeypatch.chdir(tmp_path)
    watched = [False]
    sys.addaudithook(only_in(tmp_path, watched))
    watched[0] = True
    with pytest.raises(AssertionError, match="outside"):
        (tmp_path.parent / "elsewhere").write_text("")
    watched[0] = False
    for _ in range(int(os.environ.get("HMEXP_FUZZ", "800"))):
        Path("bundle.json").write_bytes(fuzz(text, chance))
        watched[0] = True
        try:
            import_bundle(options)
        except HmexpError:
            outcome = "refused"
        else:
            outcome = "imported"
        finally:
            watched[0] = False
        tally[outcome] += 1
        written = {path.name for path in tmp_path.iterdir()} - {"bundle.json"}
        assert len(written) == (outcome == "imported"), written
        for name in written:
            found = read_bundle(Path("bundle.json"))
            require_allowed(json.loads(found.to_json()), "it")
            assert re.fullmatch(r"atlas-[0-9a-f]{12}\.toml", name)
            assert Profile.load(f"./{name}").slow == found.profile.slow
            Path(name).unlink()
    capsys.readouterr()
    with capsys.disabled():
        if "HMEXP_FUZZ" in os.environ:
            print(f"\n{tally.total()} fuzzed bundles: {dict(tally)}; no crash, nothing written elsewhere")
    assert set(tally) == {"imported", "refused"}


@given(st.text(max_size=60))
def test_what_is_spelled_is_allowed_everywhere(text: str) -> None:
    spelled = spell(text)
    if spelled is not None:
        require_allowed({"content": {"profile": {"title": spelled}}}, "it")


def test_the_command_goes_the_whole_way_and_writes_only_new_files(
    tmp_path: Path, bundle: Bundle, run_hmexp: Callable[..., Any]
) -> None:
    hmexp = partial(run_hmexp, "profile")
    assert hmexp("export", str(EXAMPLE), "-o", "e.json").status == 0
    done = hmexp("import", "e.json")
    assert done.status == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"e.json", f"{bundle.name}.toml"}
    again = hmexp("import", "e.json")
    assert again.status == 2 and "is there already" in again.stderr
    assert hmexp("import", "e.json", "-o", "/nowhere/x.toml").status == 2
    shown = hmexp("capture", str(EXAMPLE))
    assert shown.status == 0 and shown.stdout.startswith('title = "EMULATED')
    assert hmexp("import", "missing.json").status == 2
