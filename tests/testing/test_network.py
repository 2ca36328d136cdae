"""The guard refuses every way out, names who tried, and leaves nothing behind."""

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from langchain_openai import ChatOpenAI

from backend_coordinator import Coordinator
from backend_coordinator.testing import NetworkRefused, no_network
from tests.support.runs import QUICK


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def datagram() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.sendto(b"x", ("192.0.2.1", 53))


def message() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.sendmsg([b"x"], [], 0, ("192.0.2.1", 53))


def connection_without_an_error() -> None:
    with socket.socket() as own:
        own.connect_ex(("192.0.2.1", 80))


WAYS: list[Callable[[], object]] = [
    lambda: socket.create_connection(("192.0.2.1", 80), timeout=1),
    lambda: socket.create_connection(("api.example.org", 443), timeout=1),
    lambda: socket.getaddrinfo("api.example.org", 443),
    lambda: socket.gethostbyname("api.example.org"),
    lambda: socket.gethostbyaddr("192.0.2.1"),
    lambda: asyncio.run(asyncio.open_connection("192.0.2.1", 80)),
    lambda: asyncio.run(asyncio.open_connection("api.example.org", 443)),
    lambda: ChatOpenAI(model="m", api_key="k", base_url="http://api.example.org/v1").invoke("hello"),
    lambda: asyncio.run(ChatOpenAI(model="m", api_key="k", base_url="http://api.example.org/v1").ainvoke("hello")),
    connection_without_an_error,
    datagram,
    message,
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("allow_loopback", [True, False])
def test_a_way_out_is_refused_naming_host_and_test(way: Callable[[], object], allow_loopback: bool) -> None:
    with pytest.raises(NetworkRefused) as refused, no_network(allow_loopback=allow_loopback):
        way()
    told = str(refused.value)
    assert "192.0.2.1" in told or "api.example.org" in told
    assert "b'" not in told
    assert told.startswith(os.environ["PYTEST_CURRENT_TEST"].partition(" (")[0])


def test_this_machine_is_reached_only_where_that_is_allowed(port: int) -> None:
    with no_network(allow_loopback=True):
        socket.create_connection(("localhost", port)).close()
    with pytest.raises(NetworkRefused, match=rf"a connection to 127\.0\.0\.1, port {port}, was tried"), no_network():
        socket.create_connection(("127.0.0.1", port))


def test_what_somebody_swallowed_is_raised_at_the_end() -> None:
    def swallow() -> None:
        with pytest.raises(NetworkRefused):
            socket.gethostbyname("telemetry.example.org")

    with pytest.raises(NetworkRefused, match=r"telemetry\.example\.org"), no_network():
        swallow()


def test_a_whole_run_is_refused_naming_the_server(
    repository: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://api.example.org/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "local-test-key")
    coordinator = Coordinator("openai:small", repository("here"), settings=QUICK)
    with pytest.raises(NetworkRefused, match=r"the address of api\.example\.org"), no_network():
        coordinator.start("three files").result()


def test_what_has_nothing_to_do_with_a_refusal_is_raised_as_it_is() -> None:
    with pytest.raises(LookupError), no_network():
        raise LookupError


def test_pairs_and_files_of_this_machine_are_no_network(tmp_path_factory: pytest.TempPathFactory) -> None:
    with no_network():
        one, other = socket.socketpair()
        one.sendmsg([b"x"])
        assert other.recv(1) == b"x"
        one.close()
        other.close()
        asyncio.run(asyncio.sleep(0))


def test_everything_is_as_before_when_the_block_ends(port: int) -> None:
    names = ("connect", "connect_ex", "sendto", "sendmsg")
    before = [vars(socket.socket).get(name) for name in names], socket.getaddrinfo, socket.gethostbyname
    with pytest.raises(NetworkRefused), no_network():
        socket.gethostbyname("api.example.org")
    assert ([vars(socket.socket).get(name) for name in names], socket.getaddrinfo, socket.gethostbyname) == before
    socket.create_connection(("127.0.0.1", port)).close()
