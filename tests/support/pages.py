"""A web server on this machine with names of its own, and a fetcher that finds it under them."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address

from backend_coordinator.nodes.permissions.hosts import Address, public
from backend_coordinator.nodes.tools.fetching import Fetcher

HERE = "127.0.0.1"
Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


def page(body: bytes | str, kind: str = "text/plain", status: str = "200 OK", **headers: str) -> bytes:
    """A whole answer."""
    data = body if isinstance(body, bytes) else body.encode()
    lines = {
        "Content-Type": kind,
        "Content-Length": str(len(data)),
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }
    return "".join((f"HTTP/1.1 {status}\r\n", *(f"{k}: {v}\r\n" for k, v in lines.items()), "\r\n")).encode() + data


def redirect(location: str, status: str = "302 Found") -> bytes:
    """An answer that leads on."""
    return page("", status=status, Location=location, Set_Cookie="id=1")


@dataclass
class Site:
    """`answers` by host and path; `names` are the addresses that a host has at its first, second, ... look-up."""

    answers: Mapping[str, Answer]
    names: dict[str, list[list[str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    port: int = 0
    serving: dict[asyncio.Task[None], asyncio.StreamWriter] = field(default_factory=dict)

    async def resolve(self, host: str, port: int) -> list[tuple[str, int]]:
        """Every name that is not listed leads here."""
        answers = self.names.get(host, [[HERE]])
        self.asked.append(host)
        found = answers[min(self.asked.count(host), len(answers)) - 1]
        return [(address, self.port) for address in found]

    def fetcher(self, tls: ssl.SSLContext | bool = True) -> Fetcher:
        """One that takes this machine's first address for public."""
        return Fetcher(self.resolve, _public_here, tls)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection; it is closed whatever becomes of the request."""
        task = asyncio.current_task()
        assert task is not None
        self.serving[task] = writer
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self.answer((await reader.readuntil(b"\r\n\r\n")).decode(), writer)
        finally:
            writer.close()

    async def answer(self, request: str, writer: asyncio.StreamWriter) -> None:
        """One request."""
        self.requests.append(request)
        host = next(line[6:] for line in request.splitlines() if line.lower().startswith("host: "))
        answer = self.answers.get(host + request.split(" ")[1], page("no", status="404 Not Found"))
        if isinstance(answer, bytes):
            writer.write(answer)
            await writer.drain()
        else:
            await answer(writer)

    async def end(self) -> None:
        """Leaves no connection behind: a writer that outlives its loop complains in some later test."""
        for task in self.serving:
            task.cancel()
        await asyncio.gather(*self.serving, return_exceptions=True)
        for writer in self.serving.values():
            writer.transport.abort()


def _public_here(address: Address) -> bool:
    return address == ip_address(HERE) or public(address)


@asynccontextmanager
async def site(answers: Mapping[str, Answer], tls: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    """Serves while the test runs."""
    it = Site(answers)
    server = await asyncio.start_server(it.serve, HERE, 0, ssl=tls)
    it.port = server.sockets[0].getsockname()[1]
    async with server:
        try:
            yield it
        finally:
            server.close()
            await it.end()
