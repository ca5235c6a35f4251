"""Kafka messages ↔ structured CloudEvents, as the CloudEvents Kafka binding 1.0.2 has it.

What an event must hold to be let in is domain.validation's; where messages come from is kafka_source's.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jiter
import orjson

from policyengine.domain.events import Rejection
from policyengine.ledger.canonical import canonical

WRONG_KEY, MALFORMED = "EV094", "EV096"
CONTENT_TYPE = "content-type"
STRUCTURED = b"application/cloudevents+json; charset=UTF-8"
_PREFIX = "ce_"
_MEDIA = "application/cloudevents"
_FORMAT = re.compile(r'application/cloudevents\+json\s*(?:;\s*charset="?utf-8"?\s*)?', re.IGNORECASE)
_JSON = re.compile(r"[\w.+-]+/(?:json|[\w.-]+\+json)\s*(?:;.*)?", re.ASCII | re.IGNORECASE | re.DOTALL)
_CHARSET = re.compile(r'charset\s*=\s*"?([^\s;"]+)', re.IGNORECASE)
_NO_HEADERS = frozenset(("data", "data_base64", "datacontenttype"))  # the value, and `content-type`
_SHORT = 60

Header = tuple[str, bytes | None]


class Message(NamedTuple):
    """A message that was read. ``timestamp`` in ms since 1970; the position after it is ``offset + 1``."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()
    timestamp: int = -1

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        headers = sum(len(name) + len(value or b"") for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers


class Outgoing(NamedTuple):
    """A message to be written."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class _MalformedError(Exception):
    """Why a message is no event."""


def event_bytes(message: Message, *, keyed: bool = True) -> bytes | Rejection:
    """The structured event in a message, or why there is none; never raises.

    A structured message's value as it is; a binary one's attributes and data as one JSON object, always
    the same bytes for the same message. A message with neither a ``content-type`` nor ``ce_`` headers
    is taken as structured. Whether the bytes are an event that the catalogue knows is not looked at.

    ``keyed``: the key must be the customer, that is, the event's subject, else one customer's events
    would come to several partitions. A rejection holds the message whole; see ``unpacked``.
    """
    try:
        raw = _structured(message)
    except _MalformedError as fault:
        return Rejection(MALFORMED, str(fault), packed(message))
    if keyed:
        subject = _subject(raw)
        if subject is not None and message.key != subject.encode():
            reason = (
                f"{_key(message)}, but the event's `subject` is `{_short(subject)}`; send it with that key"
            )
            return Rejection(WRONG_KEY, reason, packed(message))
    return raw


def structured(
    event: Mapping[str, Any], *, key: str | None, headers: Mapping[str, str] | None = None
) -> Outgoing:
    """An event as a structured message; its text attributes are there as ``ce_`` headers, too.

    ``headers`` are added to them. LedgerError PE710 where the event has no canonical form.
    """
    own = {f"{_PREFIX}{name}": item for name, item in event.items() if type(item) is str and name != "data"}
    own.pop(f"{_PREFIX}datacontenttype", None)
    more = {**own, **(headers or {})}
    written = ((CONTENT_TYPE, STRUCTURED), *((name, item.encode()) for name, item in more.items()))
    return Outgoing(None if key is None else key.encode(), canonical(event), written)


def packed(message: Message | Outgoing) -> bytes:
    """Key, value and headers of a message, byte for byte, as canonical JSON in base64."""
    headers = [[name, _to_base64(value)] for name, value in message.headers]
    return canonical({"headers": headers, "key": _to_base64(message.key), "value": _to_base64(message.value)})


def around(message: Message, raw: bytes) -> bytes:
    """Key and headers of a message, and its value where that is not ``raw``; see ``unpacked``."""
    headers = [[name, _to_base64(value)] for name, value in message.headers]
    document: dict[str, Any] = {"headers": headers, "key": _to_base64(message.key)}
    if message.value != raw:
        document["value"] = _to_base64(message.value)
    return canonical(document)


def unpacked(packed: bytes, raw: bytes | None = None) -> Outgoing:
    """What ``packed`` packed, or ``around`` with the same ``raw``. ValueError for other bytes."""
    try:
        document = orjson.loads(packed)
        if raw is not None and "value" not in document:
            document["value"] = _to_base64(raw)
        headers = tuple((str(name), _from_base64(value) or b"") for name, value in document["headers"])
        return Outgoing(_from_base64(document["key"]), _from_base64(document["value"]), headers)
    except (KeyError, TypeError) as error:
        raise ValueError("these bytes are no packed message") from error


def _structured(message: Message) -> bytes:
    headers = _headers(message.headers)
    media = headers.get(CONTENT_TYPE, "")
    if media.lower().startswith(_MEDIA):
        if not _FORMAT.fullmatch(media):
            raise _MalformedError(
                f"the event format `{_short(media)}` is not supported; write application/cloudevents+json "
                "in UTF-8, one event to a message"
            )
        return message.value or b""
    attributes = {
        name.removeprefix(_PREFIX): value for name, value in headers.items() if name.startswith(_PREFIX)
    }
    if not attributes and not media:
        return message.value or b""
    return _assembled(attributes, media, message.value)


def _headers(headers: Iterable[Header]) -> dict[str, str]:
    """Those headers that the binding speaks of, as text; others are the publisher's own business."""
    found: dict[str, str] = {}
    for header, value in headers:
        name = header.lower()
        if name != CONTENT_TYPE and not name.startswith(_PREFIX):
            continue
        if name in found:
            raise _MalformedError(f"the header `{_short(name)}` is there twice; send it once")
        if value is None:
            raise _MalformedError(f"the header `{_short(name)}` has no value; leave it out or give it one")
        try:
            found[name] = value.decode()
        except UnicodeDecodeError as error:
            reason = f"the header `{_short(name)}` is not UTF-8 (byte {error.start + 1})"
            raise _MalformedError(reason) from None
    return found


def _assembled(attributes: dict[str, str], media: str, value: bytes | None) -> bytes:
    """A binary message as one object, its data as it is written in the value."""
    if "specversion" not in attributes:
        raise _MalformedError(
            "no CloudEvent: neither is `content-type` application/cloudevents+json, "
            "nor is there a header `ce_specversion`"
        )
    for name in sorted(attributes.keys() & _NO_HEADERS):
        raise _MalformedError(
            f"the header `ce_{name}` is not allowed; data is the message's value, its type `content-type`"
        )
    if media:
        attributes["datacontenttype"] = media
    parts = [orjson.dumps(name) + b":" + orjson.dumps(attributes[name]) for name in sorted(attributes)]
    if value:
        _check_data(media, value)
        parts.append(b'"data":' + value)
    return b"{" + b",".join(parts) + b"}"


def _check_data(media: str, value: bytes) -> None:
    """invariant: what is put between other members is one JSON value, so it can add no member of its own."""
    if media and not _JSON.fullmatch(media):
        reason = f"data of type `{_short(media)}` is not supported; send JSON with `application/json`"
        raise _MalformedError(reason)
    charset = _CHARSET.search(media)
    if charset is not None and charset[1].lower() != "utf-8":
        raise _MalformedError(f"data in `{_short(charset[1])}` is not supported; send it in UTF-8")
    try:
        jiter.from_json(value, allow_inf_nan=False, float_mode="lossless-float")
    except ValueError as error:
        raise _MalformedError(f"the value of a binary message must be JSON: {_short(str(error))}") from None


def _subject(raw: bytes) -> str | None:
    """The subject of what may be an event; None where there is none: the door says what is wrong."""
    try:
        # as the door reads it, so that no event is let in whose subject was not seen here
        document = jiter.from_json(
            raw, allow_inf_nan=False, catch_duplicate_keys=True, float_mode="lossless-float"
        )
    except ValueError:
        return None
    subject = document.get("subject") if type(document) is dict else None
    return subject if type(subject) is str else None


def _key(message: Message) -> str:
    if message.key is None:
        return "the message has no key"
    return f"the message's key is `{_short(message.key.decode(errors='backslashreplace'))}`"


def _short(text: str) -> str:
    """Quoted text that is neither long nor unprintable."""
    shown = text if text.isprintable() else repr(text)[1:-1]
    return shown if len(shown) <= _SHORT else shown[:_SHORT] + "…"


def _to_base64(raw: bytes | None) -> str | None:
    return None if raw is None else b64encode(raw).decode()


def _from_base64(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text, validate=True)
