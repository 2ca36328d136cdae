"""What must not change in a user's repository, as a value two of which can be compared."""

import hashlib
import os
import stat
import subprocess
from pathlib import Path

OURS = ("refs/heads/backend-coordinator/", "objects/")
LINE = ".backend-coordinator/"


def fingerprint(repo: Path) -> dict[str, str]:
    """Mode and digest of every file of the work tree and of `.git`, by path.

    Left out are what the product may add: objects, its own branch, its folder, and its line of info/exclude.
    """
    command = ["git", "-C", str(repo), "rev-parse", "--path-format=absolute", "--git-common-dir"]
    common = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.rstrip("\n"))
    found = {f".git/{name}": mark for name, mark in _marks(common).items() if not name.startswith(OURS)}
    exclude = common / "info" / "exclude"
    lines = exclude.read_text(encoding="utf-8").splitlines() if exclude.exists() else []
    found[".git/info/exclude"] = "\n".join(line for line in lines if line != LINE)
    work = {name: mark for name, mark in _marks(repo).items() if not name.startswith((".git/", LINE))}
    return found | work


def _marks(root: Path) -> dict[str, str]:
    marks = {}
    for directory, folders, files in os.walk(root):
        for name in (*files, *(folder for folder in folders if Path(directory, folder).is_symlink())):
            path = Path(directory, name)
            content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
            mode = stat.filemode(path.lstat().st_mode)
            marks[path.relative_to(root).as_posix()] = f"{mode} {hashlib.sha256(content).hexdigest()}"
    return marks
