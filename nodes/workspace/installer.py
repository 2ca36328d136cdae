"""Immutable environments: one folder per set of requirements, built once under a lock, then only read."""

import asyncio
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import sys
import sysconfig
import tempfile
import venv
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from backend_coordinator.nodes.workspace.manifest import Manifest
from backend_coordinator.nodes.workspace.sandbox import INSTALL, Sandbox
from backend_coordinator.nodes.workspace.trees import remove

_MARKER = "complete"
_INDEX_SETTINGS = {"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_CONFIG_FILE", "PIP_NO_INDEX"}
_PASSED = re.compile(r"(PIP_|UV_|SSL_CERT_|REQUESTS_CA_BUNDLE$|(HTTPS?|ALL|NO)_PROXY$)", re.IGNORECASE)


_UNREACHABLE = re.compile(
    r"Could not fetch URL (?!.*\b404 Client Error).*|^.*(?:error sending request for url|HTTP status server error).*",
    re.MULTILINE,  # a pip log has 17 MB: to try a line from its beginning only is a hundred times faster
)
"""What pip's log and uv say of an index that did not answer; 404 is its answer that it has no such name."""


class InstallError(Exception):
    """An environment that could not be built; the text is the unit's problem.

    `unreachable` says that the index did not answer, so that nothing is known about the requirements.
    """

    def __init__(self, text: str, *, unreachable: bool = False) -> None:
        self.unreachable = unreachable
        super().__init__(text)


def digest_of(manifest: Manifest) -> str:
    """The name of the environment: the same for equal requirements, pins and interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    parts = (*manifest.requirements, "", *manifest.pins, "", version, sysconfig.get_platform())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


async def install(manifest: Manifest, cache: Path, sandbox: Sandbox) -> Path:
    """The interpreter of the environment of `manifest` below `cache`; builds it when it is not there.

    Raises InstallError with one line that says why it cannot be had.
    """
    place = cache / "environments" / digest_of(manifest)
    python = place / "bin" / "python"

    async def fill() -> None:
        await asyncio.to_thread(_prepare, place, manifest)
        if manifest.requirements:
            await _fill(place, cache, sandbox)

    await build_once(place, fill, "bin/python")
    return python


async def build_once(place: Path, fill: Callable[[], Awaitable[None]], needed: str) -> None:
    """Have `fill` build the environment `place`, of which the file `needed` is a part, unless it is there whole."""
    if _complete(place, needed):
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    async with _locked(place.with_name(f"{place.name}.lock")):
        if not _complete(place, needed):
            # Console scripts name their interpreter by absolute path, so it is built where it will stay:
            # until the marker is written it is no environment, and the next holder of the lock starts over.
            await fill()
            (place / _MARKER).write_text(str(place), encoding="utf-8")


def _complete(place: Path, needed: str) -> bool:
    marker = place / _MARKER
    return marker.is_file() and marker.read_text(encoding="utf-8") == str(place) and (place / needed).exists()


@asynccontextmanager
async def _locked(file: Path) -> AsyncIterator[None]:
    with file.open("a") as stream:
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(0.1)
        try:
            yield
        finally:
            fcntl.flock(stream, fcntl.LOCK_UN)  # a child that another thread just forked holds the file too


def _prepare(place: Path, manifest: Manifest) -> None:
    remove(place)
    venv.EnvBuilder(symlinks=True).create(place)
    (place / "requirements.txt").write_text("\n".join(manifest.requirements) + "\n", encoding="utf-8")
    (place / "pins.txt").write_text("\n".join(manifest.pins) + "\n", encoding="utf-8")


async def _fill(place: Path, cache: Path, sandbox: Sandbox) -> None:
    variables = {name: value for name, value in os.environ.items() if _PASSED.match(name)}
    configuration = _configuration(variables)
    command, program = await _installer(place, cache, configuration, variables)
    wheels = cache / "wheels"
    wheels.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="backend-coordinator-") as scratch:
        env = variables | {
            "HOME": str(Path.home()),
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "TMPDIR": scratch,
            "PIP_CACHE_DIR": str(wheels),
            "PIP_LOG": f"{scratch}/log",
            "UV_CACHE_DIR": str(wheels),
        }
        profile = replace(INSTALL, writable=(wheels, Path(scratch)))
        readable = [program, *configuration, *_mentioned(configuration, variables)]
        done = await sandbox.run(command, cwd=place, env=env, readable=readable, profile=profile)
        failed = done.exit_code != 0
        silent = await asyncio.to_thread(_silence, Path(scratch, "log"), done.output) if failed else None
    if failed:
        lines = [line.strip() for line in done.output.splitlines() if line.strip()]
        said = dict.fromkeys([*(line for line in lines if line.lower().startswith("error")), *lines[-1:]])
        why = f"stopped after {profile.seconds:g} s" if done.timed_out else " ".join(said)[:500]
        if silent:
            why = f"{silent[0].strip()[:300]} {why}"
        msg = f"the dependencies could not be installed: {why}"
        raise InstallError(msg, unreachable=done.timed_out or silent is not None)


def _silence(log: Path, output: str) -> re.Match[str] | None:
    """What the installer logged of an index that did not answer."""
    logged = log.read_text(errors="replace") if log.is_file() else ""
    return _UNREACHABLE.search(f"{logged}\n{output}")


async def _installer(
    place: Path, cache: Path, configuration: list[Path], variables: Mapping[str, str]
) -> tuple[list[str], Path]:
    python = str(place / "bin" / "python")
    options = ["install", "--only-binary", ":all:", "-r", "requirements.txt", "-c", "pins.txt"]
    uv = shutil.which("uv")
    # uv does not read pip's configuration: with an index of the user's there, only pip asks the right one.
    if uv and _INDEX_SETTINGS.isdisjoint(variables) and not any("pip" in file.name for file in configuration):
        return [uv, "pip", options[0], "--python", python, "--compile-bytecode", *options[1:]], Path(uv)
    async with _locked(cache / "pip.lock"):
        pip = await asyncio.to_thread(_pip, cache)
    quiet = ["--no-input", "--disable-pip-version-check", "--no-warn-script-location", "--quiet"]
    return [python, "-I", str(pip / "__pip-runner__.py"), options[0], *quiet, *options[1:]], pip.parent


def _pip(cache: Path) -> Path:
    spec = importlib.util.find_spec("pip")
    own = Path(spec.origin).parent if spec and spec.origin else Path("/nonexistent")
    if (own / "__pip-runner__.py").exists():
        return own
    bootstrap = cache / f"bootstrap-{sys.version_info.major}.{sys.version_info.minor}"
    pattern = "lib/python*/site-packages/pip/__pip-runner__.py"
    if not any(bootstrap.glob(pattern)):
        try:
            venv.EnvBuilder(symlinks=True, with_pip=True, clear=True).create(bootstrap)
        except Exception as error:
            raise InstallError(f"there is neither pip nor uv here ({error}): install one of them") from error
    if found := next(bootstrap.glob(pattern), None):
        return found.parent
    raise InstallError("pip is older than 22.3 and there is no uv: install one of them")


def _configuration(variables: Mapping[str, str]) -> list[Path]:
    home = Path.home()
    folders = [Path("/etc"), Path("/etc/xdg/pip"), home / ".pip", home / ".config/pip", Path(sys.prefix)]
    places = [folder / "pip.conf" for folder in folders]
    places += [Path(variables.get("PIP_CONFIG_FILE", "/nonexistent")), home / ".config/uv/uv.toml", home / ".netrc"]
    return [file for file in places if file.is_file()]


def _mentioned(configuration: Iterable[Path], variables: Mapping[str, str]) -> list[Path]:
    # An index may be a local folder and a certificate a local file.
    texts = [*variables.values(), *(file.read_text(encoding="utf-8", errors="replace") for file in configuration)]
    names = {name for text in texts for name in re.findall(r"(?<![\w/])(?:file://)?(/[^\s'\",;]+)", text)}
    places = [Path(name) for name in sorted(names) if Path(name).exists()]
    # A mirror keeps its files beside the folder `simple` that lists them.
    return [place.parent if place.name == "simple" else place for place in places]
