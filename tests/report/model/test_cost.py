"""Cost and performance: prices are the user's, and the cheapest choice keeps what it says."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hmexp.cli.main import main
from hmexp.errors import ParameterError
from hmexp.report.figures.pareto import cost_performance
from hmexp.report.model.cost import cheapest, frame_of, markets, sentences
from hmexp.report.model.prices import Prices
from hmexp.report.page.html import write_report
from hmexp.report.run.results import Results

Record = dict[str, Any]
PRICES = Prices(8.0, 3.0)


def at(synthetic: SimpleNamespace, medians: dict[str, tuple[float, float]]) -> Results:
    """Read bandwidths: pattern -> median, half width of the interval."""
    records = []
    for pattern, (median, half) in medians.items():
        record = synthetic.make_record(pattern, "read", emulated=False)
        record["result"] |= {"median": median, "ci_low": median - half, "ci_high": median + half}
        records.append(record)
    return synthetic.results(records, synthetic.make_run(len(records), emulated=False))


def test_a_mixture_costs_its_parts() -> None:
    assert [PRICES.of(share) for share in (0.0, 0.25, 1.0)] == [3.0, 4.25, 8.0]


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf, True])
def test_a_price_that_is_none_is_refused(bad: float) -> None:
    with pytest.raises(ParameterError, match="price of slow memory"):
        Prices(8.0, bad)


def test_the_front_is_what_nothing_beats(synthetic: SimpleNamespace) -> None:
    speeds = {
        "0": (10.0, 0.1),
        "0,0,0,2": (12.0, 0.1),
        "0,2": (7.0, 0.5),
        "0,2,2": (7.2, 0.5),
        "2": (3.0, 0.1),
    }
    (market,) = markets(at(synthetic, speeds), PRICES)
    found = {offer.point.pattern: offer.standing for offer in market.offers}
    # All DRAM is dearer and slower than 3:1; 1:1 may be slower than the cheaper 1:2, or not.
    assert found == {"2": "front", "0,2,2": "front", "0,2": "undecided", "0,0,0,2": "front", "0": "beaten"}
    assert [offer.price for offer in market.front] == sorted(offer.price for offer in market.front)


def test_less_latency_is_better(synthetic: SimpleNamespace) -> None:
    records = [synthetic.make_record(p, "latency", emulated=False) for p in synthetic.PATTERNS]
    results = synthetic.results(records, synthetic.make_run(5, emulated=False))
    (market,) = markets(results, PRICES)
    assert {offer.standing for offer in market.offers} == {"front"}
    (dear,) = markets(results, Prices(3.0, 8.0))
    assert [offer.point.pattern for offer in dear.front] == ["0"]
    assert cheapest(market, results) is None


def test_the_cheapest_keeps_its_whole_interval(synthetic: SimpleNamespace) -> None:
    speeds = {"0": (10.0, 0.05), "0,0,0,2": (11.0, 0.05), "0,2": (9.0, 0.1), "2": (5.0, 0.05)}
    results = at(synthetic, speeds)
    (market,) = markets(results, PRICES)
    choice = cheapest(market, results)
    assert choice is not None and choice.offer is not None
    assert choice.offer.point.pattern == "0,0,0,2"
    assert [offer.point.pattern for offer in choice.undecided] == ["0,2"]
    # 5 / (1 - x) = 0.9 * 10
    assert choice.needed_share is not None
    assert choice.needed_share.median == pytest.approx(1 - 5 / 9)
    assert choice.needed_share.low < choice.needed_share.median < choice.needed_share.high
    (text,) = sentences([market], results, PRICES)
    assert (
        "at least 90 % of all-DRAM read bandwidth: DRAM:NVM 3:1 (pattern 0,0,0,2), 110.0 % [109.0, 111.1]"
        in text
    )
    assert "for 6.75 per GiB, 84 % of all DRAM's price" in text
    assert "undecided" in text and "1:1" in text
    half = cheapest(market, results, 0.45)
    assert half is not None and half.offer is not None and half.offer.point.pattern == "2"
    with pytest.raises(ParameterError, match="not a share"):
        cheapest(market, results, 90)


def test_nothing_cheaper_keeps_it(synthetic: SimpleNamespace) -> None:
    results = at(synthetic, {"0": (10.0, 0.1), "0,2": (4.0, 0.1), "2": (2.0, 0.1)})
    (text,) = sentences(markets(results, PRICES), results, PRICES)
    assert ": all DRAM; no cheaper ratio" in text
    first, _ = sentences(markets(results, Prices(3.0, 3.0)), results, Prices(3.0, 3.0))
    assert "costs no less than DRAM" in first


def test_points_of_other_parameters_are_never_compared(synthetic: SimpleNamespace) -> None:
    records = [synthetic.make_record(p, "read", threads=t) for p in ("0", "0,2", "2") for t in (1, 2)]
    results = synthetic.results(records, synthetic.make_run(6))
    found = markets(results, PRICES)
    assert [market.where for market in found] == ["1 thread", "2 threads"]
    frame = frame_of(found, PRICES)
    assert frame["parameters"].tolist() == ["1 thread"] * 3 + ["2 threads"] * 3
    assert frame["emulated"].all()
    assert frame.loc[frame["pattern"] == "0", "of_all_dram"].tolist() == [1.0, 1.0]


def test_timings_that_do_not_count_are_not_priced(synthetic: SimpleNamespace) -> None:
    results = synthetic.results(synthetic.sweep(), synthetic.make_run(15, timing_valid=False))
    assert markets(results, PRICES) == []
    figure = cost_performance(results, [], PRICES)
    assert any("functional only" in text.get_text() for text in figure.texts)


def test_the_report_has_it_only_with_prices(
    synthetic: SimpleNamespace, write_run: Callable[..., Path]
) -> None:
    folder = write_run(synthetic.sweep(), synthetic.make_run(15))
    text = write_report(folder, PRICES).read_text()
    assert "At the prices that were given" in text and "Cheapest ratio that keeps" in text
    drawn = (folder / "figures" / "cost_performance.svg").read_text()
    assert "EMULATED" in drawn and "per GiB" in drawn
    assert (folder / "figures" / "cost_performance.png").stat().st_size > 1000
    assert len(list(csv.DictReader((folder / "cost.csv").read_text().splitlines()))) == 15
    assert "At the prices" not in write_report(folder).read_text()
    assert not (folder / "cost.csv").exists()
    assert not list((folder / "figures").glob("cost_*"))


def test_one_price_is_not_enough(
    synthetic: SimpleNamespace, write_run: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_run([synthetic.make_record("0", "read")], synthetic.make_run(1))
    for given in (["--price-dram", "8"], ["--price-dram", "8", "--price-slow", "0"]):
        with pytest.raises(SystemExit) as ended:
            main(["report", str(folder), *given])
        assert ended.value.code == 2 and "price" in capsys.readouterr().err
