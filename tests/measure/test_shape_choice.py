"""The choice of a shape by measurement, and what is kept of it: the rule and the cache, never who wins."""

from __future__ import annotations

import os
from pathlib import Path
from statistics import geometric_mean

import msgspec
import pytest

from hmexp.errors import MeasurementError, ParameterError
from hmexp.measure import shape_cache
from hmexp.measure.operation import find_operation
from hmexp.measure.shape_bench import BETTER, is_surely_better
from hmexp.measure.shape_choice import REGIONS, choose, find_shape, is_kept, named
from hmexp.measure.shapes import ways_of
from hmexp.native import PAGE_BYTES
from hmexp.store.shapes import ShapeRecord
from hmexp.system.cpus import allowed_cpus
from hmexp.system.near import near_dram
from hmexp.system.topology import read_topology

NODE = near_dram(read_topology())
CPUS = allowed_cpus()[:1]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "hmexp" / "shapes"


@pytest.fixture(scope="module")
def found() -> ShapeRecord:
    return choose("copy", PAGE_BYTES, CPUS, NODE, 24 << 20)


def test_every_shape_has_its_figures(found: ShapeRecord) -> None:
    ways = ways_of(find_operation("copy"))
    assert [trial.name for trial in found.trials] == [way.name for way in ways]
    for trial in found.trials:
        assert len(trial.ratios) == len(trial.gbps) == REGIONS
        assert all(ratio > 0 for ratio in (*trial.ratios, *trial.gbps)) and trial.rounds > 1
    assert set(found.trials[0].ratios) == {1.0}
    assert found.spread is not None and found.spread > 0


def test_the_plain_loop_is_kept_unless_another_is_better_in_both_regions(found: ShapeRecord) -> None:
    chosen = next(trial for trial in found.trials if trial.name == found.name)
    assert found.ratio == pytest.approx(geometric_mean(chosen.ratios), abs=1e-3)
    if chosen is not found.trials[0]:
        assert min(chosen.ratios) >= 1 + BETTER
        assert chosen.rounds == max(trial.rounds for trial in found.trials)


@pytest.mark.parametrize(
    ("first", "second", "better"),
    [
        ((1.03, 1.05, 1.04, 1.03, 1.2), (1.02, 1.02, 1.1, 1.03, 1.02), True),
        ((1.03, 1.05, 1.04, 0.7, 1.2), (1.02, 1.02, 1.1, 0.9, 1.02), True),  # one bad round of each
        ((1.03, 1.05, 1.04, 1.03, 1.2), (1.01, 1.01, 1.1, 1.01, 1.01), False),  # in one region by too little
        ((1.3, 1.4, 1.5, 0.9, 0.8), (1.3, 1.4, 1.5, 1.6, 1.7), False),  # a noisy host: large, and not sure
        ((1.3,) * 11 + (0.8,) * 3, (1.1,) * 14, True),  # the same host, and rounds enough to be sure
        ((1.3,) * 10 + (0.8,) * 4, (1.1,) * 14, False),
    ],
)
def test_a_shape_is_better_only_where_it_is_so_in_nearly_every_round(
    first: tuple[float, ...], second: tuple[float, ...], better: bool
) -> None:
    taken = [{"other": [(10 * ratio, ratio) for ratio in ratios]} for ratios in (first, second)]
    assert is_surely_better(taken, "other") is better


def test_a_busy_machine_keeps_only_what_is_sure(found: ShapeRecord) -> None:
    first, second = found.trials[:2]
    plain = msgspec.structs.replace(found, shape=first.shape, vector_bits=first.vector_bits, spread=0.5)
    assert not is_kept(plain) and is_kept(msgspec.structs.replace(plain, spread=0.05))
    other = msgspec.structs.replace(plain, shape=second.shape, vector_bits=second.vector_bits)
    assert is_kept(other)


def test_what_was_found_is_kept_and_used_again(found: ShapeRecord) -> None:
    shape_cache.keep(found)
    again = find_shape("copy", PAGE_BYTES, CPUS, NODE)
    assert again == msgspec.structs.replace(found, source="kept")
    assert list(shape_cache.all_kept()) == [found]
    assert shape_cache.read_kept("copy", PAGE_BYTES, 2) is None
    assert shape_cache.read_kept("read", PAGE_BYTES, 1) is None


@pytest.mark.parametrize(
    "content", [b"", b"{", b"null", b"\xff\x00", b"[" * 100_000, b'{"machine": 1, "record": {}}']
)
def test_garbage_in_the_cache_is_as_good_as_nothing(found: ShapeRecord, cache: Path, content: bytes) -> None:
    shape_cache.keep(found)
    (path,) = cache.iterdir()
    path.write_bytes(content)
    (cache / "other.json").write_bytes(content)
    assert shape_cache.read_kept("copy", PAGE_BYTES, 1) is None
    assert list(shape_cache.all_kept()) == []
    shape_cache.keep(found)
    assert shape_cache.read_kept("copy", PAGE_BYTES, 1) is not None


def test_every_torn_file_is_as_good_as_nothing(found: ShapeRecord, cache: Path) -> None:
    shape_cache.keep(found)
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        assert shape_cache.read_kept("copy", PAGE_BYTES, 1) is None


@pytest.mark.parametrize("change", [{"shape": "sings"}, {"vector_bits": 77}, {"threads": 9}])
def test_what_this_core_does_not_have_is_measured_again(
    found: ShapeRecord, cache: Path, change: dict[str, object]
) -> None:
    """Such a file is of another hmexp, or was copied under another name."""
    shape_cache.keep(found)
    (path,) = cache.iterdir()
    kept = shape_cache.KeptShape(
        machine=shape_cache.describe_machine(), record=msgspec.structs.replace(found, **change)
    )
    path.write_bytes(msgspec.json.encode(kept))
    assert shape_cache.read_kept("copy", PAGE_BYTES, 1) is None


def test_another_cpu_or_core_does_not_count(found: ShapeRecord, cache: Path, tmp_path: Path) -> None:
    shape_cache.keep(found)
    (path,) = cache.iterdir()
    (tmp_path / "cpuinfo").write_text(
        "processor\t: 0\nmodel\t\t: 1\nmicrocode\t: 0x7\n\nprocessor\t: 1\nmodel\t: 2\n"
    )
    other = shape_cache.describe_machine(tmp_path)
    assert other.startswith("model 1, microcode 0x7, hypervisor ") and other != shape_cache.describe_machine()
    path.write_bytes(msgspec.json.encode(shape_cache.KeptShape(machine=other, record=found)))
    assert shape_cache.read_kept("copy", PAGE_BYTES, 1) is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written_is_no_error(found: ShapeRecord, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir(mode=0o500)
    shape_cache.keep(found)


def test_a_file_in_place_of_the_cache_is_no_error(found: ShapeRecord, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    shape_cache.keep(found)
    assert shape_cache.read_kept("copy", PAGE_BYTES, 1) is None
    assert list(shape_cache.all_kept()) == []


def test_a_named_shape_has_the_ratio_that_is_kept(found: ShapeRecord) -> None:
    assert named("places4", "copy", PAGE_BYTES, 1).ratio is None
    shape_cache.keep(found)
    trial = next(trial for trial in found.trials if trial.shape == "places4")
    record = named("places4", "copy", PAGE_BYTES, 1)
    assert (record.name, record.source) == (trial.name, "named")
    assert record.ratio == pytest.approx(geometric_mean(trial.ratios), abs=1e-3)
    with pytest.raises(ParameterError, match="unknown"):
        named("sing", "copy", PAGE_BYTES, 1)


def test_a_choice_that_cannot_be_made_is_an_error_with_a_reason() -> None:
    with pytest.raises(MeasurementError, match=r"shapes cannot be compared: .*1000"):
        find_shape("read", PAGE_BYTES, CPUS, 1000)
