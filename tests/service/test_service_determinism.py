"""The same events give the same decisions, byte for byte: in any process, order of files, company of customers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import chain
from pathlib import Path

import orjson
from support import catalogue, event, line

from policyengine.authoring.load import load_policies
from policyengine.domain.catalogue import Scope
from policyengine.domain.events import Event
from policyengine.domain.validation import Validator
from policyengine.ledger.canonical import canonical
from policyengine.service.dry_run import dry_run
from policyengine.service.policy_sets import PolicySet, prepare
from policyengine.service.stream import generate

ROOT = Path(__file__).parents[2]
STREAM = list(generate(3, 80, 900))
LAST = line(event("customer.updated", "2023-01-01T00:00:00Z", "nobody"))  # every timer before it fires


def decided(prepared: PolicySet, lines: Iterable[bytes]) -> Iterator[bytes]:
    """Every decision, in order: of timers before a line, on the line, of all whom it reaches."""
    for answer in dry_run(prepared, lines):
        for decision in (*answer.earlier, *answer.decisions):
            yield canonical(decision.to_json())


def shipped(*, backwards: bool = False) -> PolicySet:
    policies = load_policies(ROOT / "rules").models
    return prepare(policies[::-1] if backwards else policies, catalogue())


def fingerprint(*, backwards: bool) -> str:
    """Of every decision, in order."""
    return sha256(b"".join(decided(shipped(backwards=backwards), STREAM))).hexdigest()


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


def test_customers_are_decided_alike_in_whatever_company() -> None:
    """Whoever is alone with the world gets what they get among all others: but for what is scarce."""
    validator, types = Validator(catalogue()), catalogue().events
    of_world, of_customer = [], defaultdict(list)
    for raw in STREAM:
        one = validator.validate(raw)
        if isinstance(one, Event):
            is_scarce = one.type == "surplus.declared"  # capped over all customers
            if types[one.type].scope is Scope.CUSTOMER:
                of_customer[one.subject].append((one.time, raw))
            elif not is_scarce:
                of_world.append((one.time, raw))
    prepared = shipped()

    def of(customers: Iterable[str]) -> dict[str, list[bytes]]:
        """By customer, all their decisions up to the end of the stream."""
        timed = [*of_world, *chain.from_iterable(of_customer[customer] for customer in customers)]
        lines = [raw for _, raw in sorted(timed)]
        found: dict[str, list[bytes]] = defaultdict(list)
        for body in decided(prepared, [*lines, LAST]):
            found[orjson.loads(body)["customer"]].append(body)
        return found

    together = of(of_customer)
    assert sum(map(len, together.values())) > 900
    for customer in sorted(of_customer)[:12]:
        assert of([customer])[customer] == together[customer]
