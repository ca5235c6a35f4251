"""docs/ledger.md is exact: its example and its verifier hold, and so does every code it names."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from policyengine.adapters import tables
from policyengine.adapters.store import SqlLedgerStore
from policyengine.domain.events import Rejection
from policyengine.ledger import faults
from policyengine.ledger.canonical import canonical
from policyengine.ledger.entries import (
    Entry,
    Place,
    decision_body,
    event_key,
    policy_set_body,
    rejected_body,
    seal,
)
from policyengine.ledger.merkle import Tree
from policyengine.ledger.records import Checkpoint, Head, Outbox
from policyengine.service.approvals import Wish
from tests.ledger.ledgers import event_body, write_small
from tests.service.people import desk, open_roster, person
from tests.service.runs import FULL, half
from tests.support import policy_set

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"\bPE(?:7[01]|80)\d\b")  # of the ledger; others are those of who brings the events
PAGE = (ROOT / "docs" / "ledger.md").read_text("utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def example() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(block("json"))
    return entries


def test_the_example_follows_from_its_bodies_by_hashes_alone(example: list[dict[str, Any]]) -> None:
    hashes: list[bytes] = []
    for number, entry in enumerate(example):
        header = json.loads(entry["header"])
        salt, body = bytes.fromhex(entry["salt"]), entry["body"].encode()
        assert salt == bytes([number]) * 32
        assert header["commitment"] == hmac.new(salt, body, "sha256").hexdigest()
        hashes.append(sha256(b"\x00" + entry["header"].encode()).digest())
        assert hashes[-1].hex() == entry["leaf"]
    one, two, three, four = hashes
    left, right = sha256(b"\x01" + one + two).digest(), sha256(b"\x01" + three + four).digest()
    roots = [one, left, sha256(b"\x01" + left + three).digest(), sha256(b"\x01" + left + right).digest()]
    assert [entry["root"] for entry in example] == [root.hex() for root in roots]
    assert (4).to_bytes(8, "big").hex() + roots[-1].hex() in PAGE


def test_the_engine_writes_the_example(example: list[dict[str, Any]]) -> None:
    documents = [json.loads(entry["body"]) for entry in example]
    policies = policy_set_body(documents[0]["policies"], documents[0]["catalogue"])
    event = documents[1]["event"]
    bodies = [
        policies,
        event_body(event, event_key(event["source"], event["id"])),
        decision_body(documents[2]),
        rejected_body(Rejection("EV001", "is not JSON", b"{", None, None)),
    ]
    tree = Tree()
    for number, (body, told) in enumerate(zip(bodies, example, strict=True)):
        entry: Entry = seal(
            Place("members", "0.1.0", "events.jsonl"),
            body,
            bytes([number]) * 32,
            seq=number,
            offset=json.loads(told["header"])["input"]["offset"],
            policy_set=str(policies.ref),
        )
        tree.append(entry.leaf)
        assert told == {
            "seq": entry.seq,
            "kind": entry.kind,
            "header": entry.header.decode(),
            "leaf": entry.leaf.hex(),
            "salt": entry.salt.hex(),
            "body": entry.body.decode(),
            "ref": entry.ref,
            "customer": entry.customer,
            "root": tree.root().hex(),
        }


def test_the_verifier_of_the_page_agrees_with_the_engine(tmp_path: Path) -> None:
    heads = write_small(tmp_path / "l.db")
    names: dict[str, Any] = {}
    exec(block("python"), names)  # noqa: S102 - our own page
    check: Callable[[Path, str], tuple[int, bytes]] = names["check"]
    for shard, head in heads.items():
        assert check(tmp_path / "l.db", shard) == (head.size, head.root)


def test_the_verifier_of_approvals_agrees_with_the_engine(tmp_path: Path) -> None:
    with SqlLedgerStore(f"sqlite:///{tmp_path / 'l.db'}") as store:
        made = desk(store)
        open_roster(made)
        for prepared in (half(), policy_set(FULL)):
            made.publish(prepared.body, Wish(), person("dana"))
            made.approve(prepared.digest, person("noa"))
        made.roll_back(half().digest, Wish(), person("uri"))
    names: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[1], names)  # noqa: S102 - our own page
    full = policy_set(FULL).digest
    assert names["approvals"](tmp_path / "l.db") == [
        (2, half().digest, ["dana", "noa"]),  # after the roster and the staged set
        (6, full, ["dana", "noa"]),
        (9, half().digest, ["uri"]),
    ]


def test_a_digest_is_of_the_table_and_the_columns_in_the_order_of_the_page() -> None:
    def digest(*parts: object) -> bytes:
        return sha256(canonical(parts)).digest()

    root, frontier = bytes(32), b"\x01\x02"
    head = Head("members", 3, 8, root, frontier, 2, "ab", {"duplicates": 1})
    assert head.digest() == digest(
        "shard", "members", 3, 8, "00" * 32, "0102", 2, "ab", {"duplicates": 1}
    )  # fmt: skip
    checkpoint = Checkpoint("events.jsonl", 30, 2, b"\xff")
    assert checkpoint.digest("members") == digest("checkpoint", "members", "events.jsonl", 30, 2, "ff")
    assert Outbox("decisions", 4, b"\x07").digest("members") == digest(
        "outbox", "members", "decisions", 4, "07"
    )


@pytest.mark.parametrize("table", list(tables.metadata.tables))
def test_every_column_is_on_the_page_in_its_order(table: str) -> None:
    columns = [f"`{column.name}`" for column in tables.metadata.tables[table].columns]
    if table == "entry":
        place = [PAGE.index(f"\n| {column} |") for column in columns]
        assert place == sorted(place)
    else:
        assert f"| `{table}` | {', '.join(columns)} |" in PAGE


def test_every_code_is_on_the_page() -> None:
    sources = [
        *(ROOT / "policyengine" / "ledger").glob("*.py"),
        *(ROOT / "policyengine" / "adapters").glob("*.py"),
    ]
    used = {code for path in sources for code in CODE.findall(path.read_text("utf-8"))}
    assert used >= {faults.CHANGED, "PE700", "PE711"}
    assert used <= set(CODE.findall(PAGE))
