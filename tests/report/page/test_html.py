"""The report: one file that opens offline, says what it must, and cannot be injected into."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest

from hmexp.errors import StoreError
from hmexp.report.page.html import write_report
from hmexp.report.page.inline import Picture, show
from hmexp.report.page.inline_html import Html
from hmexp.store.validity import FUNCTIONAL_ONLY

EMULATED = "EMULATED node 2: optane-dcpmm scaled to this host"
WriteRun = Callable[..., Path]


#: Figures of a run of reads, writes and latency with one number of threads.
STEMS = [
    "node_capability", "bandwidth_against_ratio", "ratio_by_mix", "latency_against_ratio",
    "latency_distribution", "model_error", "placement_strips",
]  # fmt: skip


@pytest.fixture(scope="module")
def written(synthetic: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the synthetic run with its report, which takes seconds to draw: only to be read."""
    folder = tmp_path_factory.mktemp("written") / "run"
    synthetic.write_run(folder, synthetic.sweep(), synthetic.make_run(15))
    assert write_report(folder) == folder / "report.html"
    return folder


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.resources: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "poster", "data", "action"):
                self.resources.append(value or "")
            if name == "id":
                self.ids.append(value or "")


def test_writes_everything(written: Path) -> None:
    folder = written
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    drawn = {f"figures/{stem}.{kind}" for stem in STEMS for kind in ("svg", "png")}
    assert names == {"points.jsonl", "run.json", "points.csv", "samples.csv", "report.html"} | drawn
    assert len((folder / "points.csv").read_text().splitlines()) == 16
    assert len((folder / "samples.csv").read_text().splitlines()) == 151


def test_is_one_file_that_fetches_nothing(written: Path) -> None:
    text = (written / "report.html").read_text()
    page = _Page(text)
    assert page.tags.count("svg") == len(STEMS)
    assert not {"script", "link", "iframe", "object", "embed", "base"} & set(page.tags)
    assert all(name.startswith(("#", "data:")) for name in page.resources), page.resources
    assert not re.search(r"@import|url\((?!#|[\"']?data:)", text)
    assert len(page.ids) == len(set(page.ids))
    assert {name[1:] for name in page.resources if name.startswith("#")} <= set(page.ids)


def test_is_written_again_to_the_same_bytes(written: Path) -> None:
    first = (written / "report.html").read_bytes()
    assert write_report(written).read_bytes() == first


def test_says_emulated_in_the_page_and_in_each_figure(written: Path) -> None:
    folder = written
    text = (folder / "report.html").read_text()
    header, body = text.split('<section id="answer"')
    assert EMULATED in header
    figures = re.findall(r"<svg.*?</svg>", body, flags=re.DOTALL)
    assert len(figures) == len(STEMS)
    for figure in [*figures, *(path.read_text() for path in (folder / "figures").glob("*.svg"))]:
        drawn = re.sub(r"<svg[^>]*>", "", figure)  # in the picture, not only in its description
        assert EMULATED in drawn


def test_real_nodes_are_not_called_emulated(
    synthetic: SimpleNamespace, write_run: WriteRun, undrawn: None
) -> None:
    folder = write_run(synthetic.sweep(emulated=False), synthetic.make_run(15, emulated=False))
    text = write_report(folder).read_text()
    assert "EMULATED" not in text
    assert FUNCTIONAL_ONLY not in text


def test_a_node_that_the_lab_slows_is_no_published_profile(
    synthetic: SimpleNamespace, write_run: WriteRun, undrawn: None
) -> None:
    note = "emulated: lab plugin: accesses to node 2 are delayed"
    run = synthetic.make_run(15, emulated=False, timing_valid=False, timing_note=note)
    text = write_report(write_run(synthetic.sweep(emulated=False), run)).read_text()
    assert "The lab's emulator delayed each access to that node" in text
    assert "published profile" not in text


def test_functional_only_refuses_to_advise(
    synthetic: SimpleNamespace, write_run: WriteRun, undrawn: None
) -> None:
    text = write_report(write_run(synthetic.sweep(), synthetic.make_run(15, timing_valid=False))).read_text()
    assert FUNCTIONAL_ONLY in text
    assert "No advice" in text
    assert "Best measured ratio" not in text


def test_reasons_and_names_cannot_inject(synthetic: SimpleNamespace, write_run: WriteRun) -> None:
    evil = "<script>alert(1)</script>]]>\"'{{ 7*7 }} $x$"
    records = synthetic.sweep()
    records[0] = synthetic.fail(records[0], evil)
    records[1]["proof"]["after"]["summary"] = evil
    records[2]["parameters"]["placer"] = evil
    run = synthetic.make_run(
        15, title=evil, timing_note=evil, timing_valid=False, parameters={"results": evil}
    )
    folder = write_run(records, run)
    page = _Page(write_report(folder).read_text())
    assert "script" not in page.tags
    assert "alert(1)" in (folder / "report.html").read_text()
    for part in show(folder):
        if isinstance(part, Html):
            assert "script" not in _Page(part._repr_html_()).tags


@pytest.mark.parametrize("records", [0, 1])
def test_little_or_nothing_measured_is_still_a_report(
    synthetic: SimpleNamespace, write_run: WriteRun, records: int, undrawn: None
) -> None:
    folder = write_run([synthetic.make_record("0,2,2", "read")][:records], synthetic.make_run(15))
    text = write_report(folder).read_text()
    assert f"{15 - records} of 15 points are not measured yet" in text
    assert ("No point was measured" in text) == (records == 0)


def test_all_points_failed_is_still_a_report(
    synthetic: SimpleNamespace, write_run: WriteRun, undrawn: None
) -> None:
    records = [synthetic.fail(record, "out of memory on node 2") for record in synthetic.sweep()]
    text = write_report(write_run(records, synthetic.make_run(15))).read_text()
    assert "15 of 15 points failed" in text
    assert text.count("out of memory on node 2") >= 15
    assert "Nothing can be advised" in text


def test_nothing_on_the_page_is_nan(synthetic: SimpleNamespace, write_run: WriteRun) -> None:
    records = synthetic.sweep(emulated=False)
    records[2] = synthetic.fail(records[2])
    records[3]["result"]["samples"][0] = float("nan")
    records[3]["result"]["mad"] = float("nan")
    folder = write_run(records, synthetic.make_run(15, emulated=False))
    text = write_report(folder).read_text()
    for content in (text, (folder / "points.csv").read_text(), (folder / "samples.csv").read_text()):
        assert not re.search(r"(?<![A-Za-z])(nan|NaN|NaT|<NA>|None|inf)(?![A-Za-z])", content)


def test_a_pattern_of_a_million_entries_does_not_fill_the_page(
    synthetic: SimpleNamespace, write_run: WriteRun
) -> None:
    pattern = ",".join(["0", "2"] * 3000)
    text = write_report(
        write_run([synthetic.make_record(pattern, "read")], synthetic.make_run(1))
    ).read_text()
    assert "0,2,0,2,0,2,0,2,0,2,0,2,0,2,…" in text.replace("\n", "")
    assert pattern not in text


def test_a_folder_that_is_no_run_is_refused_and_left_alone(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not a run directory"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_notebook_shows_status_table_figures_and_advice(
    synthetic: SimpleNamespace, write_run: WriteRun
) -> None:
    first, table, *pictures, last = show(write_run(synthetic.sweep(), synthetic.make_run(15)))
    assert isinstance(first, Html)
    assert isinstance(table, Html)
    assert isinstance(last, Html)
    assert EMULATED in first._repr_html_()
    assert EMULATED in table._repr_html_()
    assert "0,2,2" in table._repr_html_()
    assert "Best measured ratio" in repr(last)
    assert [picture.stem for picture in pictures] == STEMS
    for picture in pictures:
        assert isinstance(picture, Picture)
        assert picture._repr_png_().startswith(b"\x89PNG")
