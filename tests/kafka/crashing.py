"""A worker that dies or falls asleep at a named point: `python -m tests.kafka.crashing AT … -- run --kafka …`.

AT is `point:n:how`: at the n-th time that it gets there, ``how`` is `kill` (SIGKILL) or `stop` (SIGSTOP:
whoever wakes it finds a zombie). The program that users run knows nothing of this: its methods are
wrapped here, and nothing is changed besides.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

from kafka import KafkaProducer

from policyengine.adapters.kafka_publisher import ShardPublisher
from policyengine.adapters.kafka_worker import KafkaStream
from policyengine.adapters.store import SqlLedgerStore
from policyengine.service.worker import Worker

HOW = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
MARK = "=== at the point"


class Point(NamedTuple):
    """Before or after a call of a method; ``counts`` says which calls are meant."""

    owner: type
    method: str
    after: bool = False
    counts: Callable[[Any, tuple[Any, ...]], bool] = lambda _result, _arguments: True


def _of_entries(_result: Any, arguments: tuple[Any, ...]) -> bool:
    return bool(arguments[2].entries)


POINTS: dict[str, Point] = {
    "after-poll": Point(KafkaStream, "poll", after=True, counts=lambda found, _: bool(found)),
    "before-commit": Point(SqlLedgerStore, "commit", counts=_of_entries),
    "in-commit": Point(
        SqlLedgerStore, "_advance_head", after=True
    ),  # the row is locked, nothing is committed
    "after-commit": Point(SqlLedgerStore, "commit", after=True, counts=_of_entries),
    "relay-begun": Point(KafkaProducer, "flush"),  # messages are on their way
    "relay-sent": Point(KafkaProducer, "send_offsets_to_transaction"),  # all have arrived
    "relay-ending": Point(KafkaProducer, "commit_transaction"),  # and the position after them
    "relay-committed": Point(ShardPublisher, "publish", after=True),  # the ledger does not know it
    "relay-marked": Point(SqlLedgerStore, "mark_published", after=True),
    "publisher-opening": Point(ShardPublisher, "open"),
    "publisher-opened": Point(ShardPublisher, "open", after=True),
    "assigning": Point(Worker, "assigned"),
    "claimed": Point(SqlLedgerStore, "claim", after=True),
    "assigned": Point(Worker, "assigned", after=True),
    "revoking": Point(Worker, "revoked"),
    "revoked": Point(Worker, "revoked", after=True),
}


def prepare(at: str) -> None:
    """Wrap the method of a point, so that it is reached."""
    name, number, how = at.split(":")
    point, left = POINTS[name], [int(number)]
    plain = getattr(point.owner, point.method)
    is_static = isinstance(point.owner.__dict__[point.method], staticmethod)

    def reached(result: Any, arguments: tuple[Any, ...]) -> None:
        if left[0] <= 0 or not point.counts(result, arguments):
            return
        left[0] -= 1
        if left[0] == 0:
            os.write(2, f"{MARK} {at}\n".encode())
            os.kill(os.getpid(), HOW[how])

    @wraps(plain)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        if not point.after:
            reached(None, arguments)
        result = plain(*arguments, **named)
        if point.after:
            reached(result, arguments)
        return result

    setattr(point.owner, point.method, staticmethod(wrapped) if is_static else wrapped)


def main(arguments: list[str]) -> None:
    """Prepare the points, then run the program."""
    from policyengine.cli.main import main as program

    end = arguments.index("--")
    for at in arguments[:end]:
        prepare(at)
    sys.argv = ["policyengine", *arguments[end + 1 :]]
    program()


if __name__ == "__main__":
    main(sys.argv[1:])
