"""A small folder of a policy owner: one policy with a bit of everything, and cases for some of it."""

from __future__ import annotations

from pathlib import Path

from policyengine.authoring.case_plan import Plan, plans
from tests.support import catalogue

POLICY = """\
policy: travel/part-back
version: 1
title: {en: Part of the price comes back}
owner: a@b.example
basis: goodwill
effective: {from: 2020-03-01, until: 2020-06-01}
currency: ILS
timezone: Asia/Jerusalem
parameters:
  most: 200 ILS
rules:
  - id: back
    on: booking.cancelled
    cap: {count: 1, per: customer}
    when:
      - booking.paid > money("10 ILS")
    table:
      columns:
        - {when: booking.nights, type: integer}
        - {set: share, type: integer}
      rows: |
        <= 3 | 50
        > 3  | 80
    grant:
      - {kind: refund, amount: 'min(param.most, percent(booking.paid, row.share))'}
  - id: choose
    on: booking.postponed
    offer:
      alternatives:
        - {id: new-date, grant: [{kind: postpone, until: 2020-12-31}]}
        - {id: money, grant: [{kind: refund, amount: booking.paid}]}
      default: money
      deadline: add_days(date_of(event.time), 7)
"""
# 2020-03-01 00:00 in Jerusalem is 2020-02-29T22:00Z, 2020-06-01 00:00 there is 2020-05-31T21:00Z (summer time)
CASE = """\
  - name: {name}
    given:
      - booking.made: {{at: 2020-02-01T10:00:00Z, booking_id: b1, kind: hotel, starts_on: 2020-07-01, nights: {nights}, price: 500 ILS, paid: {paid} ILS}}
      - booking.cancelled: {{at: {at}, booking_id: b1, cancelled_because: crisis}}
    expect: {expect}
"""
HALF = CASE.format(
    name="half of a hundred",
    nights=3,
    paid=100,
    at="2020-04-01T10:00:00Z",
    expect="{remedies: [{kind: refund, amount: 50 ILS}]}",
)


def case(
    name: str, expect: str, *, nights: int = 3, paid: str = "100", at: str = "2020-04-01T10:00:00Z"
) -> str:
    """A case of a booking that is cancelled."""
    return CASE.format(name=name, nights=nights, paid=paid, at=at, expect=expect)


def folder(tmp_path: Path, cases: str = HALF, head: str = "", policy: str = POLICY) -> Path:
    """The folder with these cases."""
    place = tmp_path / "rules"
    place.mkdir(exist_ok=True)
    (place / "part-back.yaml").write_text(policy, encoding="utf-8")
    (place / "part-back.cases.yaml").write_text(f"{head}cases:\n{cases}", encoding="utf-8")
    return place


def planned(place: Path) -> list[Plan]:
    """What there is to run in a folder."""
    return plans([place], catalogue())
