"""Tokens for OAUTHBEARER, from a command or from an endpoint; they are kept while they last.

No message of an error holds what was sent or received.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable
from threading import Lock
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from kafka.net.sasl.oauth import AbstractTokenProvider

from policyengine.errors import StreamError

_SECONDS = 10  # connections wait for it
_OF_ITS_LIFE = 0.8  # then it is asked for anew


class Tokens(AbstractTokenProvider):  # type: ignore[misc]
    """A token, asked for when the last one has no life left."""

    def __init__(self, ask: Callable[[], bytes]) -> None:
        super().__init__()
        self._ask = ask
        self._lock = Lock()
        self._token = ""
        self._until = 0.0

    def token(self) -> str:
        """The token for a new connection."""
        with self._lock:
            now = time.monotonic()
            if now >= self._until:
                self._token, life = _read(self._ask())
                self._until = now + life * _OF_ITS_LIFE
            return self._token

    def extensions(self) -> dict[str, str]:
        """None are sent."""
        return {}


def command_tokens(command: str) -> Tokens:
    """Tokens that a command prints: the bare token, or JSON with ``access_token`` and ``expires_in``."""

    def ask() -> bytes:
        try:
            return subprocess.run(  # noqa: S603 - the operator's own setting
                shlex.split(command),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=True,
                timeout=_SECONDS,
            ).stdout
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            reason = f"the token command fails ({type(error).__name__})"
            raise StreamError(reason) from None  # what the error holds may be secret

    return Tokens(ask)


def endpoint_tokens(url: str, client: str, secret: str, scope: str | None) -> Tokens:
    """Tokens by the client credentials grant (RFC 6749, 4.4)."""
    body = urlencode({"grant_type": "client_credentials", **({} if scope is None else {"scope": scope})})
    basic = b64encode(f"{client}:{secret}".encode()).decode()

    def ask() -> bytes:
        request = Request(url, body.encode(), {"Authorization": f"Basic {basic}"})  # noqa: S310 - http(s) only
        try:
            with urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 - the setting's pattern says so
                answered: bytes = answer.read()
                return answered
        except (OSError, URLError) as error:
            raise StreamError(f"the token endpoint fails ({type(error).__name__})", code="PE721") from None

    return Tokens(ask)


def _read(answer: bytes) -> tuple[str, float]:
    """The token and how many seconds it lives; 0 where that is not said."""
    try:
        text = answer.decode().strip()
        if not text.startswith("{"):
            token, life = text, 0.0
        else:
            document = json.loads(text)
            token, life = str(document["access_token"]), float(document.get("expires_in", 0))
    except (ValueError, KeyError, TypeError):
        raise StreamError("what was to be a token is neither one nor JSON with `access_token`") from None
    if not token:
        raise StreamError("the token is empty")
    return token, life
