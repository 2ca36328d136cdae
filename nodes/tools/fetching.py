"""One page from the internet: every address checked and then connected to, every hop judged, everything bounded."""

import asyncio
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from backend_coordinator.nodes.models.clock import CLOCK, Clock
from backend_coordinator.nodes.permissions.hosts import Address, public
from backend_coordinator.nodes.permissions.urls import PORTS, Url, read_url

if TYPE_CHECKING:
    import httpx2

SECONDS = 30.0
"""For a page with all its hops; for a connection CONNECT."""
CONNECT = 5.0
MOST_HOPS = 5
MOST_BYTES = 5_000_000
"""Of a body, packed and unpacked."""
MOST_RATIO = 100
"""How much larger than packed a body may be, once it has more than SMALL bytes."""
SMALL = 100_000
Resolve = Callable[[str, int], Awaitable[list[tuple[str, int]]]]
"""All addresses of a host, each with the port to connect to. Raises OSError."""


class FetchFailed(Exception):
    """A page that was not fetched; the text says why in one line."""


@dataclass(frozen=True)
class Page:
    """What the last hop answered: `kind` is its content type as sent."""

    url: Url
    kind: str
    body: bytes


async def _resolved(host: str, port: int) -> list[tuple[str, int]]:
    found = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys((str(address[0]), port) for *_, address in found))


@dataclass(frozen=True)
class Fetcher:
    """Fetches without cookies, credentials, or proxies and other settings of the environment."""

    resolve: Resolve = _resolved
    public: Callable[[Address], bool] = public
    tls: "ssl.SSLContext | bool" = True
    """Which servers are trusted: those that the system trusts."""

    async def fetch(self, url: Url, permit: Callable[[Url], None], clock: Clock = CLOCK) -> Page:
        """The page behind a URL; `permit` is called with it and with each URL it leads to, before anything is sent.

        Raises FetchFailed, and what `permit` raises.
        """
        try:
            async with clock.limit(SECONDS):
                return await self._followed(url, permit)
        except TimeoutError as error:
            raise FetchFailed(f"it took longer than {SECONDS:g} s") from error

    async def _followed(self, url: Url, permit: Callable[[Url], None]) -> Page:
        seen = [url]
        while True:
            permit(url)
            answer = await self._answer(url)
            if isinstance(answer, Page):
                return answer
            if answer.scheme == "http" and url.scheme == "https":
                raise FetchFailed(f"{url} leads to {answer}, which is not encrypted")
            if answer in seen or len(seen) > MOST_HOPS:
                raise FetchFailed(f"it goes round, or on for more than {MOST_HOPS} redirects")
            seen.append(url := answer)

    async def _answer(self, url: Url) -> Page | Url:
        import httpx2

        try:
            addresses = await self._addresses(url)
            async with httpx2.AsyncHTTPTransport(verify=self.tls, trust_env=False) as transport:
                for address in addresses:
                    try:
                        return await _read(await transport.handle_async_request(_request(url, *address)), url)
                    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                        why: Exception = error
        except (OSError, httpx2.TransportError, httpx2.InvalidURL) as error:
            why = error
        raise FetchFailed(f"{url.host} cannot be asked: {' '.join(str(why).split()) or type(why).__name__}") from why

    async def _addresses(self, url: Url) -> list[tuple[str, int]]:
        """Where to connect to.

        Raises FetchFailed when one of the host's addresses, and be it the last, is not public.
        """
        found = await self.resolve(url.host, url.port)
        for address, _ in found:
            if not self.public(ip_address(address)):
                raise FetchFailed(f"{url.host} has the address {address}, which is not public")
        if not found:
            raise FetchFailed(f"{url.host} has no address")
        return found


FETCHER = Fetcher()


def _request(url: Url, address: str, port: int) -> "httpx2.Request":
    """A request to an address in the name of the host, so that nobody resolves it again."""
    import httpx2

    default = url.port == PORTS[url.scheme]
    headers = {
        "Host": url.host if default else f"{url.host}:{url.port}",
        "User-Agent": "backend-coordinator",
        "Accept": "text/*, application/json, application/xml;q=0.9",
        "Accept-Encoding": "gzip",
    }
    target = httpx2.URL(str(url)).copy_with(host=address, port=port)
    known = {"sni_hostname": url.host.strip("[]"), "timeout": {"connect": CONNECT}}
    return httpx2.Request("GET", target, headers=headers, extensions=known)


async def _read(response: "httpx2.Response", url: Url) -> Page | Url:
    try:
        if response.has_redirect_location:
            return _below(url, response.headers["location"])
        if not response.is_success:
            raise FetchFailed(f"{url} answers {response.status_code}")
        packing = response.headers.get("content-encoding", "identity").strip().lower()
        body = _unpacked(response.aiter_raw(), packing)
        return Page(url, response.headers.get("content-type", ""), await body)
    finally:
        await response.aclose()


def _below(url: Url, location: str) -> Url:
    try:
        return read_url(urljoin(str(url), location))
    except ValueError as error:
        raise FetchFailed(f"it leads to a URL that is denied: {error}") from error


async def _unpacked(chunks: AsyncIterator[bytes], packing: str) -> bytes:
    if packing not in {"identity", "", "gzip", "x-gzip", "deflate"}:
        raise FetchFailed(f"its body is packed by {packing}")
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 32) if packing not in {"identity", ""} else None
    body, packed = bytearray(), 0
    async for chunk in chunks:
        packed += len(chunk)
        try:
            body += inflater.decompress(chunk, MOST_BYTES + 1) if inflater else chunk
        except zlib.error as error:
            raise FetchFailed("its body is packed and broken") from error
        if len(body) > SMALL + MOST_RATIO * packed:
            raise FetchFailed(f"its body unpacks to more than {MOST_RATIO} times its size")
        if max(len(body), packed) > MOST_BYTES:
            raise FetchFailed(f"it is larger than {MOST_BYTES:,} bytes")
    if inflater and not inflater.eof:
        raise FetchFailed("its body is packed and broken")
    return bytes(body)
