"""A run shows itself: every point with its interval, failures and labels in plain sight."""

from __future__ import annotations

from types import SimpleNamespace
from xml.etree import ElementTree


def rows_of(html: str) -> list[list[str]]:
    page = ElementTree.fromstring(html)
    return [
        ["".join(cell.itertext()) for cell in row] for row in page.iter("tr") if row.find("td") is not None
    ]


def test_a_row_for_each_point(synthetic: SimpleNamespace) -> None:
    records = synthetic.sweep()
    results = synthetic.results(records, synthetic.make_run(len(records)))
    html = results._repr_html_()
    rows = rows_of(html)
    assert [row[:3] for row in rows] == [[p.operation, p.ratio, p.pattern] for p in results.points]
    assert rows[0][3] == f"{results.points[0].value.median:.4g} GB/s"
    assert "EMULATED" in html
    # In front of a terminal, or in papermill's log, one line; never all records.
    assert repr(results) == "sweep-20261123-150000-ab12cd: 15 points measured"


def test_failed_points_have_no_number(synthetic: SimpleNamespace) -> None:
    records = [synthetic.make_record("0", "read"), synthetic.fail(synthetic.make_record("2", "read"))]
    results = synthetic.results(records, synthetic.make_run(3, emulated=False))
    rows = rows_of(results._repr_html_())
    assert [row[3] for row in rows] == [f"{results.ok[0].value.median:.4g} GB/s", "failed"]
    assert rows[1][4:] == ["", ""]
    assert "1 failed or skipped, 1 not measured yet" in repr(results)


def test_parameters_are_named_where_they_differ_only(synthetic: SimpleNamespace) -> None:
    records = [synthetic.make_record("0", "read", threads=count) for count in (1, 2)]
    shown = rows_of(synthetic.results(records, synthetic.make_run(2))._repr_html_())
    assert [row[3] for row in shown] == ["1 thread", "2 threads"]


def test_a_large_run_is_cut_and_says_so(synthetic: SimpleNamespace) -> None:
    records = [synthetic.make_record("0", "read", samples=3, threads=n) for n in range(1, 100)]
    html = synthetic.results(records, synthetic.make_run(99))._repr_html_()
    assert len(rows_of(html)) == 40
    assert "and 59 more points" in html
