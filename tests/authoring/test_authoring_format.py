"""`fmt`: one form for what means the same, every comment kept, and a second time nothing to do."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from policyengine.authoring import format_files
from policyengine.authoring.format_files import format_file, policy_of
from policyengine.authoring.yaml_source import read_yaml
from tests.authoring.written import Writer

RULES = Path(__file__).parents[2] / "rules"
SHIPPED = sorted(RULES.rglob("*.yaml"))
POLICIES = [file for file in SHIPPED if not file.name.endswith(".cases.yaml")]

texts = st.one_of(
    st.sampled_from(
        ["", "word", "two words", "no", "12", "1.50", "2020-03-15", "true", "null", "a: b", "a #b", "- x",
         "it's", 'say "hi"', "both ' and \"", "100 ILS", "${x}", "[a, b]", "{until} עד", "a\nb", "a\n\n b\n",
         "end\n", "tab\there", "\u200frtl", "nbsp\u00a0here", "x" * 130, "long words " * 14 + "end",
         'booking.paid > money("0 EUR")', "!present(a) || b", "back\\slash", " led", "trail ", "key:", "a|b"]
    ),
    st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=20),
)  # fmt: skip
scalars = st.one_of(
    texts,
    st.integers(-10_000, 10_000),
    st.booleans(),
    st.decimals(0, 100, places=2),
    st.dates(date(1900, 1, 1), date(2200, 1, 1)),
)
keys = st.one_of(
    st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True), texts.filter(lambda key: "\n" not in key)
)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=8,
)


def formatted(text: str, file: str = "x.v1.yaml") -> str:
    result = format_file(text.encode(), file)
    assert result.after is not None, (text, result.findings)
    return result.after.decode()


def in_form(text: str, file: str = "x.v1.yaml") -> bool:
    return formatted(text, file) == text


def shuffled(data: Any, random: Random) -> Any:
    """The same with the keys in another order, at every level."""
    if isinstance(data, dict):
        items = [(key, shuffled(value, random)) for key, value in data.items()]
        random.shuffle(items)
        return dict(items)
    return [shuffled(item, random) for item in data] if isinstance(data, list) else data


class TestEveryWayOfWritingIt:
    @settings(max_examples=60, deadline=None, phases=[Phase.generate])
    @given(st.lists(trees, min_size=1, max_size=3), st.randoms(use_true_random=False))
    def test_means_the_same_afterwards_with_its_comments_in_order(
        self, cases: list[Any], random: Random
    ) -> None:
        writer = Writer(random)
        text = writer.file({"cases": cases})
        document, faults = read_yaml(text.encode(), "x.cases.yaml")
        assert document is not None
        assert not faults
        after = formatted(text, "x.cases.yaml")
        assert format_files.same(document, after.encode(), is_cases=True)
        found = [note for line in after.splitlines() for note in writer.comments if line.endswith(note)]
        assert found == writer.comments
        assert in_form(after, "x.cases.yaml")

    @settings(max_examples=12, deadline=None, phases=[Phase.generate])
    @given(st.sampled_from(POLICIES), st.integers(0, 10**9).map(Random))
    def test_of_a_shipped_policy_is_the_same_policy_and_one_text(self, file: Path, random: Random) -> None:
        shipped, _ = read_yaml(file.read_bytes(), file.name)
        assert shipped is not None
        writer = Writer(random)
        text = writer.file(shuffled(shipped.data, random))
        after = formatted(text)
        document, _ = read_yaml(after.encode(), file.name)
        assert document is not None
        assert policy_of(document) == policy_of(shipped)
        found = [note for line in after.splitlines() for note in writer.comments if line.endswith(note)]
        assert sorted(found) == sorted(writer.comments)
        assert in_form(after)


class TestShipped:
    @pytest.mark.parametrize("file", SHIPPED, ids=lambda file: f"{file.parent.name}/{file.name}")
    def test_files_are_in_this_form(self, file: Path) -> None:
        assert in_form(file.read_text("utf-8"), file.name)


MESSY = """\
\n
# yaml-language-server: $schema=../../schemas/policy.schema.json
# What this is about.
policy: 'travel/half-back'
owner: "care@travel.example"   # who answers
title: {en:   Half back,
        he: "חצי חזרה"}
version: 1
basis: goodwill


effective:
    by: event.time
    from: 2020-01-01
# what it is paid in
currency: ILS
rules:
- on: booking.cancelled
  # the first rule
  id: half
  when: ["booking.nights >= 5", # long stays
         "!present(booking.region) || booking.region == \\"haifa\\""]
  grant:
  - note: by hand
    amount: 'percent(booking.paid, 50)'
    kind: refund
  # the end of the first rule
- id: none
  # not now
  on: [booking.made,
       booking.paid]
  deny: {reason: "too late"}
  say: {en: "We are sorry, and
        we mean it: there is nothing that we can do about it any more, since the day has passed by now."}
# the end
"""
TIDY = """\
# yaml-language-server: $schema=../../schemas/policy.schema.json
# What this is about.
policy: travel/half-back
version: 1
title: {en: Half back, he: "חצי חזרה"}
owner: care@travel.example  # who answers
basis: goodwill

effective:
  from: 2020-01-01
  by: event.time
# what it is paid in
currency: ILS
rules:
  # the first rule
  - id: half
    on: booking.cancelled
    when:
      - "booking.nights >= 5"  # long stays
      - '!present(booking.region) || booking.region == "haifa"'
    grant:
      - kind: refund
        amount: "percent(booking.paid, 50)"
        note: by hand
    # the end of the first rule

  - id: none
    # not now
    on: [booking.made, booking.paid]
    deny: {reason: "too late"}
    say:
      en: >-
        We are sorry, and we mean it: there is nothing that we can do about it any more, since
        the day has passed by now.
# the end
"""


class TestForm:
    def test_keys_quotes_brackets_indentation_and_empty_lines(self) -> None:
        assert formatted(MESSY) == TIDY

    def test_byte_order_mark_and_line_ends_of_windows_go(self) -> None:
        result = format_file(b"\xef\xbb\xbf" + TIDY.replace("\n", "\r\n").encode(), "x.v1.yaml")
        assert result.changed
        assert result.after == TIDY.encode()

    def test_cells_of_a_table_stand_in_columns(self) -> None:
        text = 'cases:\n  - name: x\n    examples: |\n      km|who\n      1500 | "a|b"\n      5|c\n    expect: none\n'
        wanted = '      km   | who\n      1500 | "a|b"\n      5    | c\n'
        assert wanted in formatted(text, "x.cases.yaml")

    def test_a_key_of_a_case_has_its_place_and_properties_of_an_event_stay(self) -> None:
        text = (
            "cases:\n- expect: {messages: {en: x}, outcome: granted}\n  given:\n"
            "  - booking.made: {paid: 5 ILS, booking_id: b1, customer: c1, at: 2020-01-01T00:00:00Z}\n"
            "  name: first\n- {name: second, expect: none}\n"
        )
        assert formatted(text, "x.cases.yaml") == (
            "cases:\n"
            "  - name: first\n"
            "    given:\n"
            "      - booking.made: {at: 2020-01-01T00:00:00Z, customer: c1, paid: 5 ILS, booking_id: b1}\n"
            "    expect: {outcome: granted, messages: {en: x}}\n"
            "\n"
            "  - {name: second, expect: none}\n"
        )

    @pytest.mark.parametrize(
        ("written", "kept"),
        [
            ('"no"', '"no"'),  # false to older readers of YAML
            ('"12"', '"12"'),
            ('"haifa"', "haifa"),
            ("'two words'", '"two words"'),
            ('"say \\"hi\\""', "'say \"hi\"'"),
            ("'it''s'", '"it\'s"'),
            ('"a\\u200fb"', '"a\\u200fb"'),  # what cannot be seen stays visible
            ("'a\u200fb'", '"a\\u200fb"'),
            ("|\n      x\n\n      y\n", "|\n      x\n\n      y"),
            (">-\n      x\n      y", ">-\n      x\n      y"),
            (">\n      x\n        \n", '"x\\n  \\n"'),
            ("|2\n        x\n       y", "|2\n        x\n       y"),
        ],
    )  # fmt: skip
    def test_a_texts_quotes(self, written: str, kept: str) -> None:
        file = f"cases:\n  - note: {written}\n"
        assert formatted(file, "x.cases.yaml") == f"cases:\n  - note: {kept}\n"


class TestErrors:
    def test_a_file_with_errors_is_left_alone(self) -> None:
        result = format_file(b"policy: a/b\nrules: 3\n", "x.v1.yaml")
        assert result.after is None
        assert not result.changed
        assert {(finding.file, finding.code) for finding in result.findings} == {
            ("x.v1.yaml", "PE003"),
            ("x.v1.yaml", "PE004"),
        }
        (wrong,) = (finding for finding in result.findings if finding.code == "PE003")
        assert (wrong.line, wrong.column) == (2, 8)

    @pytest.mark.parametrize("text", ["policy: [", "a: 1\n  b: 2", "- x", "cases: 3", "{}", "[]", "\n"])
    def test_what_is_no_file_of_cases_is_told(self, text: str) -> None:
        result = format_file(text.encode(), "x.cases.yaml")
        assert (result.after, len(result.findings) > 0) == (None, True)

    def test_nothing_is_written_that_means_something_else(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """invariant: whatever is wrong with the formatter, a file keeps its meaning and its comments."""
        for spoiled in (TIDY.replace("50", "60"), TIDY.replace("# what it is paid in\n", ""), "policy: ["):
            monkeypatch.setattr(format_files, "write", lambda *_, text=spoiled: text)
            result = format_file(MESSY.encode(), "x.v1.yaml")
            assert result.after is None
            assert [finding.code for finding in result.findings] == ["PE005"]
