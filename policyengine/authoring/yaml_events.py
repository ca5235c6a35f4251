"""YAML text → parse events: by libyaml where it reads as ruamel does, else by ruamel, which words the errors.

What is allowed and what events mean is authoring.yaml_source's.
"""

from __future__ import annotations

from collections.abc import Iterator

import yaml
from ruamel.yaml import YAML
from ruamel.yaml import events as ruamel

Scalar = ruamel.ScalarEvent | yaml.ScalarEvent
MappingStart = ruamel.MappingStartEvent | yaml.MappingStartEvent
SequenceStart = ruamel.SequenceStartEvent | yaml.SequenceStartEvent
CollectionEnd = ruamel.CollectionEndEvent | yaml.CollectionEndEvent
DocumentStart = ruamel.DocumentStartEvent | yaml.DocumentStartEvent
Alias = ruamel.AliasEvent | yaml.AliasEvent
Event = ruamel.Event | yaml.Event
_BLOCK = ("|", ">")


class OtherwiseError(Exception):
    """libyaml might read this text otherwise than YAML 1.2 does: take ``strict_events``."""


def quick_events(text: str) -> Iterator[Event]:
    """The events as libyaml has them, some fifteen times as fast; OtherwiseError where these may differ.

    They differ at faults, tabs, anchors, tags and directives, where a value is missing, and at comments
    that touch the sign of a block of text, and at blocks that begin with an empty line or a comment.
    """
    loader = getattr(yaml, "CSafeLoader", None)  # not there where it was built without libyaml
    if loader is None or "\t" in text:
        raise OtherwiseError
    try:
        for event in yaml.parse(text, Loader=loader):
            _check_same(event, text)
            yield event
    except yaml.YAMLError as error:
        raise OtherwiseError from error


def strict_events(text: str) -> Iterator[ruamel.Event]:
    """The events as ruamel.yaml has them; its errors."""
    yield from YAML(typ="safe", pure=True).parse(text)


def start_of(event: Event) -> int:
    """The index of the character at which it begins."""
    mark = event.start_mark
    return 0 if mark is None else int(mark.index)


def end_of(event: Event) -> int:
    """The index of the character after it."""
    mark = event.end_mark
    return 0 if mark is None else int(mark.index)


def _check_same(event: yaml.Event, text: str) -> None:
    if isinstance(event, yaml.ScalarEvent):
        if event.style in _BLOCK:
            start = start_of(event)
            line_end = text.find("\n", start)
            first = text[line_end + 1 : text.find("\n", line_end + 1)].strip()
            differs = line_end < 0 or "#" in text[start:line_end] or first[:1] in ("", "#")
        else:
            differs = not event.value and not event.style
    else:
        differs = isinstance(event, yaml.DocumentStartEvent) and bool(event.version or event.tags)
    anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
    if differs or anchor is not None or tag is not None:
        raise OtherwiseError
