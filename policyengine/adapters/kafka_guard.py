"""Bounds for calls of the Kafka client that may wait for ever."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from typing import Any, Generic, TypeVar

from policyengine.errors import StreamError

T = TypeVar("T")


class _Result(Generic[T]):
    """What became of a call in another thread."""

    def __init__(self) -> None:
        self.value: T | None = None
        self.error: BaseException | None = None
        self.over = Event()


def bounded(seconds: float, doing: str, call: Callable[..., T], *arguments: Any) -> T:
    """The call's result, or its error; StreamError PE721 when it takes longer.

    It then goes on in a thread that keeps nobody from ending: whoever called gives the client up.
    """
    result: _Result[T] = _Result()

    def run() -> None:
        try:
            result.value = call(*arguments)
        except BaseException as error:  # noqa: BLE001 - raised again where it was called
            result.error = error
        finally:
            result.over.set()

    Thread(target=run, name=f"kafka: {doing}", daemon=True).start()
    if not result.over.wait(seconds):
        raise StreamError(f"Kafka does not answer within {seconds:g} s while {doing}", code="PE721")
    if result.error is not None:
        raise result.error
    return result.value  # type: ignore[return-value]  # it is there: the call is over without error
