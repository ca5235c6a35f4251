"""What a broker's death may leave of a transaction that was complete: marks of its end that were not written.

A coordinator that dies after it has recorded the end, and before every partition knows of it, tells them
when it is back. Brokers that start anew as a whole have been seen to forget that (4.3): the transaction is
complete, its messages are held back from readers for ever, and so is whatever follows them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import structlog
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin._transactions import AbortTransactionSpec, TransactionState
from kafka.errors import (
    AuthorizationError,
    ClusterAuthorizationFailedError,
    KafkaError,
    LeaderNotAvailableError,
    TopicAuthorizationFailedError,
    TransactionalIdNotFoundError,
)

from policyengine.adapters.kafka_settings import KafkaSettings
from policyengine.errors import StreamError

_OFFSETS = "__consumer_offsets"
_ENDING = (TransactionState.PREPARE_COMMIT, TransactionState.PREPARE_ABORT)
_ENDED = (TransactionState.COMPLETE_COMMIT, TransactionState.COMPLETE_ABORT)
_WAIT = 0.1  # seconds
_MAY_NOT = (AuthorizationError, ClusterAuthorizationFailedError, TopicAuthorizationFailedError)
log = structlog.get_logger()


def settle(settings: KafkaSettings, transactional_id: str, topics: Iterable[str]) -> None:
    """Write the marks that are missing of the last transaction, as its coordinator says that it ended.

    To be called before another transaction with that id begins: then nobody knows any more how the last
    one ended. ``topics`` are those it may have written to, besides a group's offsets.
    """
    admin = _Admin(**settings.client())
    until = time.monotonic() + settings.request_timeout / 1_000
    try:
        while not _settled(admin, transactional_id, list(topics), last=time.monotonic() > until):
            time.sleep(_WAIT)
    finally:
        admin.close()


class _Admin(KafkaAdminClient):  # type: ignore[misc]
    """The client can write the mark of an undone transaction; this one also that of a committed one."""

    committing = False

    def _abort_transaction_request(self, spec: AbortTransactionSpec) -> Any:
        request = super()._abort_transaction_request(spec)
        for marker in request.markers:
            marker.transaction_result = self.committing
        return request


def _settled(admin: _Admin, transactional_id: str, topics: list[str], *, last: bool) -> bool:
    """Whether nothing is left to be done; raises instead of saying no for the last time."""
    try:
        before = admin.describe_transactions([transactional_id])[transactional_id]
        hanging = _hanging(admin, before.producer_id, topics) if before.state in _ENDED else {}
        after = admin.describe_transactions([transactional_id])[transactional_id]
        if after.state in _ENDING:
            if last:
                raise StreamError(f"the last transaction of {transactional_id} does not end", code="PE721")
            return False
        if after.state in _ENDED:
            admin.committing = after.state is TransactionState.COMPLETE_COMMIT
            # invariant: what was open before the coordinator called it complete, and is afterwards, is none
            # that a writer who is still there has begun meanwhile
            still = _hanging(admin, after.producer_id, topics) if hanging else {}
            for one, producer in still.items():
                if _start(producer) == _start(hanging.get(one)):
                    _mark(admin, one, producer)
    except TransactionalIdNotFoundError:
        return True
    except _MAY_NOT as error:
        log.debug("may not look for transactions without an end", error=type(error).__name__)
    except KafkaError as error:
        if last or not getattr(error, "retriable", False):
            raise
        return False  # a coordinator that is not there yet
    return True


def _start(producer: Any) -> int | None:
    return None if producer is None else int(producer.current_transaction_start_offset)


def _hanging(admin: KafkaAdminClient, producer_id: int, topics: list[str]) -> dict[TopicPartition, Any]:
    """Where that producer's last transaction has no end, and its state there."""
    partitions = [
        TopicPartition(topic["name"], partition["partition_index"])
        for topic in admin.describe_topics([*topics, _OFFSETS])
        for partition in topic["partitions"]
    ]
    if {one.topic for one in partitions} != {*topics, _OFFSETS}:
        raise LeaderNotAvailableError("a topic is not known yet")
    return {
        one: producer
        for one, state in admin.describe_producers(partitions).items()
        for producer in state.active_producers
        if producer.producer_id == producer_id and producer.current_transaction_start_offset >= 0
    }


def _mark(admin: _Admin, one: TopicPartition, producer: Any) -> None:
    log.warning(
        "the end of a transaction is missing",
        topic=one.topic,
        partition=one.partition,
        committed=admin.committing,
    )
    try:
        admin.abort_transaction(
            AbortTransactionSpec(
                one, producer.producer_id, producer.producer_epoch, max(0, producer.coordinator_epoch)
            )
        )
    except _MAY_NOT as error:
        raise StreamError(
            f"a broker died before it marked a transaction in {one.topic}-{one.partition} as "
            f"{'committed' if admin.committing else 'undone'}, and this program may not do it: grant it "
            "ClusterAction on the cluster"
        ) from error
