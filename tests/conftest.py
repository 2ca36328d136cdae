"""What holds for every test: strict checkpoints, a cache of the session's own, no way out to a network."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# No assertion on wall time. With SAME_EXAMPLES, as in .ci/run, every run tries the same examples, else new ones.
settings.register_profile("product", deadline=None, derandomize="SAME_EXAMPLES" in os.environ)
settings.load_profile("product")
os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"  # read when LangGraph is imported, so before any fixture


for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:  # by a shell that started us in the background, or by nohup
        signal.signal(number, usual)


def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as there are cores: much of the time goes to waiting for child processes and for the disk."""
    return max(2, (os.cpu_count() or 1) * 3 // 2)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--rounds 20` lets races be run so often."""
    parser.addoption("--rounds", type=int, default=2, help="how often a test of a race is repeated (default: 2)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes a `race` is run once for each round."""
    if "race" in metafunc.fixturenames:
        metafunc.parametrize("race", range(metafunc.config.getoption("rounds")))


LOCAL = ("127.0.0.1", "::1", "localhost")
FOREIGN = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL", "LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2")


@pytest.fixture(autouse=True, scope="session")
def settings_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache below the session's temporary folder, and none of the developer's own model settings."""
    own = tmp_path_factory.getbasetemp()
    cache = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared-cache"  # one for all workers
    cache.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKEND_COORDINATOR_CACHE", str(cache))
        for name in FOREIGN:
            patch.delenv(name, raising=False)
        yield cache


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """This process connects to itself only."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOCAL:  # type: ignore[index]
            msg = f"a test tried to reach {address}"
            raise AssertionError(msg)
        connect(self, address)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


@pytest.fixture(autouse=True)
def strange_servers() -> None:
    """No server is known from an earlier test, for the system gives ports out again."""
    for module, known in (("endpoint", "_endpoints"), ("forms", "_taken")):
        if loaded := sys.modules.get(f"backend_coordinator.nodes.models.{module}"):
            getattr(loaded, known).clear()
