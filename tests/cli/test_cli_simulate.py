"""`simulate`: reports for people, programs and browsers, the same whatever the number of processes."""

from __future__ import annotations

import csv
import re
import sys
from decimal import Decimal
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import orjson
import plotly.graph_objects as go
import pytest
from pyarrow import parquet

from policyengine.adapters.processes import in_parts
from policyengine.cli.output import progress
from policyengine.cli.simulate_show import chart_lines
from policyengine.errors import PolicyEngineError, UsageError
from policyengine.service.simulate_report import Row
from tests.cli.commands import Place, call, is_one_clear_line
from tests.service.runs import HALF

FULL = HALF.replace("percent(booking.paid, 50)", "booking.paid")


@pytest.fixture
def dearer(decided: Place) -> Path:
    """A folder of policies by which all that was paid goes back, beside a ledger where half of it did."""
    return decided.policy(FULL, "half.v1.yaml", "dearer")


def report_of(place: Place, rules: object, *options: object) -> str:
    result = call("simulate", "--rules", rules, "--ledger", place.ledger, *options, COLUMNS="100")
    assert (result.code, result.err) == (0, "")
    return result.out


class _Resources(HTMLParser):
    """Whatever in a page names something to be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str | None]] = []
        self.scripts: list[str] = []
        self._in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_script = tag == "script"
        self.found += [
            (tag, value) for name, value in attrs if name in {"src", "href", "data", "action", "srcset"}
        ]
        self.found += [(tag, value) for _, value in attrs if value is not None and "://" in value]

    def handle_endtag(self, tag: str) -> None:
        self._in_script = self._in_script and tag != "script"

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts.append(data)


def test_people_see_money_who_gains_and_the_largest_cases(decided: Place, dearer: Path) -> None:
    shown = report_of(decided, dearer)
    # 50 + 50 + 16.67 ILS became 100 + 100 + 33.33
    for text in (
        "3 of 6 decisions would come out otherwise, for 1 customers",
        "better off           1   116.66 ILS   c1 116.66 ILS",
        "116.67 ILS   233.33 ILS   116.66 ILS",
        "Money by policy, ILS\n  travel/half-back ░",
        "Largest differences, ILS\n  50.00 ILS → 100.00 ILS  c1, booking b1, booking.cancelled on 2020-03-02",
    ):
        assert text in shown


def test_the_recorded_policies_by_folder_and_by_digest_change_nothing(decided: Place) -> None:
    (digest,) = decided.rows("select ref from entry where kind = 'policy_set'")[0]
    for named in (decided.rules, digest, digest[:10]):
        assert "No decision would come out otherwise, of 6." in report_of(decided, named)


def test_one_process_and_three_give_the_same_bytes(decided: Place, dearer: Path) -> None:
    reports = []
    for jobs in (1, 3):
        html, out = decided.folder / f"{jobs}.html", decided.folder / f"out-{jobs}"
        shown = report_of(decided, dearer, "--jobs", jobs)
        told = report_of(decided, dearer, "--jobs", jobs, "--html", html, "--out", out, "--format", "json")
        files = {path.name: path.read_bytes() for path in out.iterdir()}
        assert sorted(files) == ["decisions.csv", "decisions.parquet", "remedies.csv", "remedies.parquet"]
        reports.append((shown, told, html.read_bytes(), files))
    assert reports[0] == reports[1]


def test_what_stays_as_it_is_is_shown_when_asked_for(decided: Place) -> None:
    assert "travel/half-back" not in report_of(decided, decided.rules)
    shown = report_of(decided, decided.rules, "--all")
    assert re.search(r"travel/half-back +116.67 ILS +116.67 ILS +0.00 ILS +3 +1", shown)


@pytest.mark.parametrize(("module", "option"), [("plotly", "--html"), ("pyarrow", "--out")])
def test_without_the_extra_it_is_told_what_to_install(
    decided: Place, monkeypatch: pytest.MonkeyPatch, module: str, option: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    result = call("simulate", "--rules", decided.rules, "--ledger", decided.ledger, option, "x")
    assert is_one_clear_line(result, 2, module, "pip install 'crisis-policy-engine[reports]'")


def test_tables_hold_exact_money(decided: Place, dearer: Path) -> None:
    out = decided.folder / "out"
    report_of(decided, dearer, "--out", out)
    found = parquet.read_table(out / "remedies.parquet").to_pylist()
    assert [(one["side"], one["amount"], one["currency"]) for one in found[-2:]] == [
        ("baseline", Decimal("16.6700"), "ILS"), ("candidate", Decimal("33.3300"), "ILS"),
    ]  # fmt: skip
    with (out / "remedies.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["side"], row["amount"]) for row in rows[-2:]] == [
        ("baseline", "16.67"),
        ("candidate", "33.33"),
    ]
    decisions = parquet.read_table(out / "decisions.parquet").to_pylist()
    assert [one["changed"] for one in decisions].count(True) == 3


def test_the_page_fetches_nothing_and_its_plots_are_plots(decided: Place, dearer: Path) -> None:
    page = decided.folder / "report.html"
    report_of(decided, dearer, "--html", page)
    text = page.read_text()
    reader = _Resources()
    reader.feed(text)
    assert reader.found == []
    assert "default-src &#x27;none&#x27;" in text  # the browser itself fetches nothing
    own = [script for script in reader.scripts if "Plotly.newPlot" in script][-1]
    plots = orjson.loads(re.search(r"of (\[.*\])\) \{", own)[1])  # type: ignore[index]
    assert "http" not in own
    for plot in plots:
        go.Figure(plot["data"], plot["layout"])  # raises for what plotly does not know
    assert plots[0]["data"][1]["y"] == ["233.33"]  # a decimal string up to the browser


def test_names_with_markup_end_no_script(decided: Place) -> None:
    evil = FULL.replace("travel/half-back", "travel/half-back").replace(
        '"owner"', '"cites": ["</script>"], "owner"'
    )
    rules = decided.policy(evil, "half.v1.yaml", "evil")
    page = decided.folder / "report.html"
    report_of(decided, rules, "--html", page)
    assert page.read_text().count("</script>") == 2


def test_a_made_up_year_needs_no_ledger(place: Place) -> None:
    rules = place.policy(FULL, "half.v1.yaml")
    other = place.policy(HALF, "half.v1.yaml", "other")
    keys = ("--customers", 5, "--seed", 3, "--events", 400, "--format", "json")
    alone = call("simulate", "--rules", rules, *keys, "--jobs", 1)
    assert (alone.code, alone.json["baseline"]) == (0, None)
    assert "changes" not in alone.json
    both = call("simulate", "--rules", rules, "--against", other, *keys, "--jobs", 2)
    assert both.json["candidate"] == alone.json["candidate"]
    assert both.json["changes"]["worse_off"] == []
    made = call("simulate-stream", "--customers", 5, "--seed", 3, "--events", 400)
    piped = call(
        "simulate",
        "--rules",
        rules,
        "--events",
        "-",
        "--format",
        "json",
        stdin=made.out.encode("utf-8", "surrogateescape"),
    )
    assert piped.json["money"] == alone.json["money"]


def test_what_is_wrong_is_told_in_a_line(decided: Place, tmp_path: Path) -> None:
    rules = ("--rules", decided.rules)
    for options, code, text in (
        ((), 2, "no policies given"),
        ((*rules, "--ledger", decided.ledger, "--seed", 1), 2, "--ledger is history by itself"),
        ((*rules, "--events", "x.jsonl", "--seed", 1), 2, "--events names a file"),
        ((*rules, "--events", "missing.jsonl"), 2, "missing.jsonl"),
        ((*rules, "--ledger", "sqlite:///missing.db"), 2, "missing.db"),
        (("--rules", "nowhere", "--ledger", decided.ledger), 2, "nowhere"),
        (("--rules", "0123456789", "--ledger", decided.ledger), 2, "no policy set in the ledger begins with"),
        (("--rules", "0123456789", "--seed", 1), 2, "a digest needs --ledger"),
        (
            (*rules, "--ledger", decided.ledger, "--html", "/nowhere/x.html"),
            2,
            "cannot write to /nowhere/x.html",
        ),
        ((*rules, "--ledger", decided.ledger, "--out", decided.database), 2, "it is a file; name a folder"),
    ):
        assert is_one_clear_line(call("simulate", *options), code, text), options


def test_a_part_that_fails_ends_all_with_what_it_said() -> None:
    def fail(number: int, link: object) -> None:
        if number == 1:
            message = "no such thing"
            raise UsageError(message)
        link.gather(number)  # type: ignore[attr-defined]

    with pytest.raises(UsageError, match="no such thing"):
        in_parts(3, fail, partial(progress, "", None))


def test_a_fault_of_ours_says_where_it_is() -> None:
    def divide(number: int, link: object) -> float:
        return number / 0

    with pytest.raises(RuntimeError, match=r"(?s)in process [01]:.*in divide.*ZeroDivisionError"):
        in_parts(2, divide, partial(progress, "", None))


def test_a_process_that_dies_is_missed() -> None:
    def die(number: int, link: object) -> None:
        if number == 1:
            raise SystemExit(9)
        link.gather(number)  # type: ignore[attr-defined]

    with pytest.raises(PolicyEngineError, match="ended in the middle"):
        in_parts(2, die, partial(progress, "", None))


@pytest.mark.parametrize("width", [40, 80, 200])
def test_bars_fit_and_the_largest_is_the_longest(width: int) -> None:
    rows = [
        Row("travel/refunds", "ILS", (100_00, 400_00), (1, 1), (1, 1)),
        Row("care/sorry", "ILS", (1, 0), (1, 1), (1, 1)),
    ]
    lines = list(chart_lines(rows, "ILS", width, compared=True))
    assert max(map(len, lines)) <= width
    blocks = [line.count("█") + line.count("░") for line in lines]
    assert blocks[1] == max(blocks)
    assert blocks[0] in {blocks[1] // 4, blocks[1] // 4 + 1}
    assert blocks[2:] == [1, 0]  # a hundredth still shows, nothing does not
