"""Sending a rejected message again, as it came, to the partition that it came from."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import NamedTuple

import orjson

from policyengine.adapters.kafka_binding import CONTENT_TYPE, STRUCTURED, Outgoing, unpacked
from policyengine.adapters.kafka_guard import bounded
from policyengine.adapters.kafka_settings import KafkaSettings, stream_errors
from policyengine.adapters.kafka_source import Partition
from policyengine.adapters.kafka_worker import partition_of
from policyengine.domain.timers import INTERNAL_SOURCE
from policyengine.errors import UsageError
from policyengine.ledger.entries import Entry, Header, Kind


class Again(NamedTuple):
    """A message, where it goes, and which entry it is from."""

    shard: str
    seq: int
    partition: Partition
    message: Outgoing

    @property
    def topic(self) -> str:
        """Where it goes."""
        return self.partition.topic

    def to_json(self) -> dict[str, object]:
        """For programs: the value in base64 where it is not UTF-8."""
        value = self.message.value or b""
        try:
            shown = {"value": value.decode()}
        except UnicodeDecodeError:
            shown = {"value_base64": b64encode(value).decode()}
        return {"shard": self.shard, "seq": self.seq, "topic": self.topic, **shown}


def is_of_topic(entry: Entry) -> bool:
    """Whether an entry's input was a topic, not a file."""
    try:
        partition_of(Header.from_bytes(entry.header).input)
    except ValueError:
        return False
    return True


def message_again(entry: Entry) -> Again:
    """The message that an entry rejects; UsageError for an entry of another kind, or of a file.

    It is as it was, key, value and headers; only where an older release did not keep these, an event is
    sent as structured, whichever mode it came in.
    """
    if entry.kind != Kind.REJECTED:
        raise UsageError(f"entry {entry.seq} of shard {entry.shard} is no rejection, but `{entry.kind}`")
    if entry.document()["source"] == INTERNAL_SOURCE:
        raise UsageError(
            f"entry {entry.seq} of shard {entry.shard} is a timer or a customer that the engine failed at; "
            "it came from no topic; what it would have said stands in it, and is for the staff to do"
        )
    input_name = Header.from_bytes(entry.header).input
    try:
        partition = partition_of(input_name)
    except ValueError:
        raise UsageError(
            f"entry {entry.seq} of shard {entry.shard} came from `{input_name}`, not from a topic: "
            "append its line, which stands in the dead letters, to the file once more, and `run` it"
        ) from None
    document = entry.document()
    raw = b64decode(document["raw"])
    try:
        message = unpacked(b64decode(document["message"]), raw) if "message" in document else unpacked(raw)
    except ValueError:
        message = Outgoing(_key(raw), raw, ((CONTENT_TYPE, STRUCTURED),))
    return Again(entry.shard, entry.seq, partition, message)


def send_again(settings: KafkaSettings, messages: list[Again]) -> None:
    """Send all of them; returns when they are there."""
    from kafka import KafkaProducer

    if not messages:
        return
    options = {**settings.writer(""), "transactional_id": None}
    patience = 2 * settings.request_timeout / 1_000
    with stream_errors("sending again"):
        producer = bounded(patience, "connecting", lambda: KafkaProducer(**options))
        try:
            sent = [
                producer.send(
                    one.topic,
                    one.message.value,
                    one.message.key,
                    headers=list(one.message.headers),
                    partition=one.partition.number,
                )
                for one in messages
            ]
            for future in sent:
                future.get(patience)
        finally:
            bounded(10.0, "closing", lambda: producer.close(timeout=5))


def _key(raw: bytes) -> bytes | None:
    """The subject of an event."""
    try:
        subject = orjson.loads(raw)["subject"]
    except (ValueError, KeyError, TypeError):
        return None
    return subject.encode() if type(subject) is str else None
