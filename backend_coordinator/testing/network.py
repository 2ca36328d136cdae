"""A guard that keeps this process from any network."""

import ipaddress
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn
from unittest.mock import patch

_ON_SOCKETS = ("connect", "connect_ex", "sendto", "sendmsg")
_LOOK_UPS = ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr")
_INTERNET = (socket.AF_INET, socket.AF_INET6)


class NetworkRefused(BaseException):
    """Something tried to reach a network within `no_network`.

    It is no Exception, so that clients neither wrap it nor try again.
    """


@contextmanager
def no_network(*, allow_loopback: bool = False) -> Iterator[None]:
    """Refuses connections, datagrams and look-ups of names in this process, sync and asyncio; not in its children.

    Raises NetworkRefused where it happens, and when the block ends once more, should somebody have swallowed it or made
    another exception of it.
    """
    guard = _Guard(allow_loopback)
    with ExitStack() as stack:
        for name in _ON_SOCKETS:
            stack.enter_context(patch.object(socket.socket, name, guard.before_sending(getattr(socket.socket, name))))
        for name in _LOOK_UPS:
            stack.enter_context(patch.object(socket, name, guard.before_asking(getattr(socket, name))))
        try:
            yield
        except (NetworkRefused, KeyboardInterrupt):
            raise
        except BaseException as error:  # what clients and groups of tasks make of a refusal does not tell of it
            guard.demand_none(error)
            raise
    guard.demand_none()


@dataclass(frozen=True)
class _Guard:
    allow_loopback: bool
    refused: list[str] = field(default_factory=list)

    def before_sending(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(own: socket.socket, *args: Any) -> Any:
            for host, port, *_ in filter(_is_place, args if own.family in _INTERNET else ()):
                if not (self.allow_loopback and _is_loopback(host)):
                    own.close()  # libraries do so after an OSError only
                    self._refuse(f"a connection to {_text(host)}, port {port}, was tried")
            return call(own, *args)

        return guarded

    def before_asking(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(host: Any, *args: Any, **kwargs: Any) -> Any:
            if host and not _is_loopback(host):
                self._refuse(f"the address of {_text(host)} was asked for")
            return function(host, *args, **kwargs)

        return guarded

    def demand_none(self, cause: BaseException | None = None) -> None:
        """Raises NetworkRefused for all that was refused."""
        if self.refused:
            raise NetworkRefused("; ".join(dict.fromkeys(self.refused))) from cause

    def _refuse(self, what: str) -> NoReturn:
        test = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" (")[0]
        self.refused.append(f"{test + ': ' if test else ''}{what}, and there is no network here")
        raise NetworkRefused(self.refused[-1])


def _is_place(argument: object) -> bool:
    return isinstance(argument, tuple) and len(argument) > 1 and isinstance(argument[1], int)


def _text(host: str | bytes) -> str:
    return host.decode() if isinstance(host, bytes) else host


def _is_loopback(host: str | bytes) -> bool:
    name = _text(host)
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
