"""A line between a worker and a server that can be cut or frozen."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from contextlib import suppress
from threading import Thread
from typing import Any, Self

from sqlalchemy import make_url


class Proxy:
    """Forwards what comes to ``port`` to a server; ``to``: host and port, or the path of a socket."""

    def __init__(self) -> None:
        self.to: tuple[str, int] | str = ""
        self._lines: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._loop = asyncio.new_event_loop()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = Thread(target=self._loop.run_forever, name=f"proxy {self.port}", daemon=True)
        self._thread.start()
        self._server: asyncio.Server = self._do(asyncio.start_server(self._met, sock=self._socket))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def before(self, database: str) -> str:
        """Forward to a database; its URL for those who are to come this way."""
        url = make_url(database)
        host, port = str(url.host or url.query.get("host", "")), url.port or 5432
        self.to = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)
        here = url.difference_update_query(["host"]).set(host="127.0.0.1", port=self.port)
        return here.render_as_string(hide_password=False)

    def freeze(self) -> None:
        """Lines stay open and nothing comes through; new ones are taken, and hear nothing."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def thaw(self) -> None:
        """Go on; nothing is lost that was under way."""
        self._loop.call_soon_threadsafe(self._flows.set)

    def cut(self) -> None:
        """Every line ends at once, in the middle of whatever it carries; new ones are taken."""
        self._do(self._cut())

    def close(self) -> None:
        """End."""
        self._server.close()
        self.thaw()
        self.cut()
        self._do(asyncio.sleep(0.05))  # what was cut comes to its end
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    async def _cut(self) -> None:
        for one in list(self._lines):
            one.transport.abort()

    async def _met(self, here: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self._lines.add(back)
        try:
            there, on = await self._reach()
        except OSError:
            back.transport.abort()
        else:
            self._lines.add(on)
            await asyncio.gather(self._carry(here, on), self._carry(there, back))
            self._lines.discard(on)
        finally:
            self._lines.discard(back)

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        await self._flows.wait()
        if isinstance(self.to, str):
            return await asyncio.open_unix_connection(self.to)
        return await asyncio.open_connection(*self.to)

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                await self._flows.wait()
                target.write(data)
                await target.drain()
        target.transport.abort() if target.transport.is_closing() else target.close()
