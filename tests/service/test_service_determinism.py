"""The same events give the same decisions, byte for byte: in any process, order of files, company of customers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from hashlib import sha256
from itertools import chain, zip_longest
from pathlib import Path

from support import catalogue

from policyengine.authoring.load import load_policies
from policyengine.domain.events import Event, Rejection
from policyengine.domain.validation import Validator
from policyengine.ledger.canonical import canonical
from policyengine.service.dry_run import dry_run
from policyengine.service.policy_sets import PolicySet, prepare
from policyengine.service.stream import generate

ROOT = Path(__file__).parents[2]
STREAM = list(generate(3, 80, 900))


def decided(prepared: PolicySet, lines: Iterable[bytes]) -> dict[bytes, list[bytes]]:
    """The decisions on each line that was accepted and new."""
    lines = list(lines)
    return {
        line: [canonical(one.to_json()) for one in answer]
        for line, answer in zip(lines, dry_run(prepared, lines), strict=True)
        if not isinstance(answer, Rejection) and answer
    }


def shipped(*, backwards: bool = False) -> PolicySet:
    policies = load_policies(ROOT / "rules").models
    return prepare(policies[::-1] if backwards else policies, catalogue())


def fingerprint(*, backwards: bool) -> str:
    """Of every decision, in order."""
    answers = decided(shipped(backwards=backwards), STREAM)
    return sha256(b"".join(chain.from_iterable(answers.values()))).hexdigest()


def test_other_hash_seeds_and_other_orders_of_files_give_the_same_bytes() -> None:
    expected = fingerprint(backwards=False)
    for seed, backwards in (("0", False), ("1", True), ("4294967295", True)):
        code = f"import test_service_determinism as t; print(t.fingerprint(backwards={backwards}))"
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent)]),
            "TZ": "Pacific/Auckland",  # nor does the machine's zone matter
            "LC_ALL": "C",
        }
        told = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, cwd="/"
        )
        assert told.stdout.strip() == expected


def test_customers_are_decided_alike_however_their_events_are_mixed() -> None:
    validator, of_customer = Validator(catalogue()), defaultdict(list)
    for line in STREAM:
        event = validator.validate(line)
        if isinstance(event, Event):
            of_customer[event.subject].append(line)
    prepared = shipped()
    together = decided(
        prepared, [line for line in STREAM if any(line in own for own in of_customer.values())]
    )
    one_after_another = decided(prepared, chain.from_iterable(of_customer.values()))
    in_turns = decided(
        prepared, [line for turn in zip_longest(*of_customer.values()) for line in turn if line]
    )
    alone = {line: answer for own in of_customer.values() for line, answer in decided(prepared, own).items()}
    assert len(together) > 700
    assert together == one_after_another == in_turns == alone
