"""Wheels made of what this environment has installed, so that tests install without an index."""

import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest


def only_wheels(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes a new folder of wheels the only place pip takes packages from."""
    folder.mkdir()
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def add_installed(name: str, folder: Path) -> Path:
    """Packs an installed distribution into a wheel below `folder`, leaving out its scripts and bytecode."""
    found = distribution(name)
    lines = (found.read_text("WHEEL") or "").splitlines()
    tags = [line.removeprefix("Tag: ") for line in lines if line.startswith("Tag: ")]
    python, abi, _ = tags[0].split("-")
    platforms = ".".join(tag.split("-")[2] for tag in tags)
    wheel = folder / f"{found.metadata['Name'].replace('-', '_')}-{found.version}-{python}-{abi}-{platforms}.whl"
    kept = [path for path in found.files or () if ".." not in path.parts and "__pycache__" not in path.parts]
    kept = [path for path in kept if path.name not in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")]
    info = next(path.parts[0] for path in kept if path.parts[0].endswith(".dist-info"))
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in kept:
            archive.write(str(path.locate()), str(path))
        archive.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in [*kept, f"{info}/RECORD"]))
    return wheel


def add_wheel(folder: Path, name: str, version: str, code: str = "", *, module: str | None = None) -> None:
    """Puts a wheel of one module, called as the distribution or `module`, with the script NAME-says into `folder`."""
    info, module = f"{name}-{version}.dist-info", module or name
    files = {
        f"{module}.py": f"version = {version!r}\n{code}\ndef main():\n    print('script', version)\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name}-says = {module}:main\n",
    }
    record = "".join(f"{file},,\n" for file in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for file, text in (*files.items(), (f"{info}/RECORD", record)):
            wheel.writestr(file, text)
