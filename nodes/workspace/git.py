"""git by subprocess, with an environment and a configuration that nobody but us can have written."""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backend_coordinator.errors import CoordinatorError, WorkspaceError

MINIMUM = (2, 34)
_CONFIG = {
    "core.hooksPath": "/dev/null",
    "core.filesRefLockTimeout": "1000",
    "core.fsmonitor": "false",
    "core.untrackedCache": "false",
    "core.quotePath": "false",
    "core.logAllRefUpdates": "false",
    "commit.gpgSign": "false",
    "fetch.writeCommitGraph": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "protocol.ext.allow": "never",
    "submodule.recurse": "false",
}
_OWN_CONFIG = {
    "core.attributesFile": "/dev/null",
    "core.autocrlf": "false",
    "core.excludesFile": "/dev/null",
    "core.symlinks": "true",
    "merge.renormalize": "true",  # without a checkout this is how git comes to read .gitattributes at all
}


class GitError(CoordinatorError):
    """A git command failed; `stderr` is what it said, `exit_code_of_git` how it ended."""

    def __init__(self, command: str, code: int, stderr: str) -> None:
        self.stderr = stderr.strip()
        self.exit_code_of_git = code
        super().__init__(f"git {command} failed ({code}): {' '.join(self.stderr.split())[:500]}")


@dataclass(frozen=True)
class Git:
    """git on one repository; `trusted` is False for the user's, where their configuration stays in force."""

    git_dir: Path
    trusted: bool = True

    def run(
        self,
        *args: str,
        work_tree: Path | None = None,
        index: Path | None = None,
        check: bool = True,
        input: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """Standard output of `git ARGS`, names that are not UTF-8 as surrogates.

        Raises GitError on a non-zero exit code when `check`.
        """
        done = self.call(*args, work_tree=work_tree, index=index, input=input, env=env)
        if check and done.returncode != 0:
            raise GitError(args[0], done.returncode, done.stderr)
        return done.stdout

    def call(
        self,
        *args: str,
        work_tree: Path | None = None,
        index: Path | None = None,
        input: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """How `git ARGS` ended, whatever its exit code."""
        places = {"GIT_DIR": str(self.git_dir)}
        if work_tree is not None:
            places["GIT_WORK_TREE"] = str(work_tree)
        if index is not None:
            places["GIT_INDEX_FILE"] = str(index)
        return run_git(
            *args,
            cwd=work_tree or self.git_dir,
            trusted=self.trusted,
            input=input,
            env={**places, **(env or {})},
        )


def run_git(
    *args: str,
    cwd: Path,
    trusted: bool = False,
    input: str | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run git in `cwd` with our settings; unless `trusted` the user's configuration holds besides."""
    config = _CONFIG | (_OWN_CONFIG if trusted else {})
    settings = [word for name, value in config.items() for word in ("-c", f"{name}={value}")]
    return subprocess.run(
        ["git", *settings, *args],
        cwd=cwd,
        env={**_environment(trusted), **(env or {})},
        input=input,
        stdin=subprocess.DEVNULL if input is None else None,
        capture_output=True,
        start_new_session=True,  # a terminal's Ctrl-C is for us: what git is at, it ends
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
    )


def lock_in(stderr: str) -> str | None:
    """What to do about the lock that git found in its way; None where it found none."""
    found = re.search(r"Unable to create '(.+?\.lock)': File exists", stderr)
    return f"{found[1]} is there: wait for the git process at work; where there is none, remove it" if found else None


def require_git() -> None:
    """Raise WorkspaceError unless git is here and new enough."""
    needed = ".".join(map(str, MINIMUM))
    try:
        text = run_git("version", cwd=Path("/")).stdout
    except FileNotFoundError:
        raise WorkspaceError(f"git is not installed: install git {needed} or newer") from None
    found = re.search(r"(\d+)\.(\d+)\S*", text)
    if found is None or (int(found[1]), int(found[2])) < MINIMUM:
        raise WorkspaceError(f"git {found[0] if found else text.strip()} is too old: install git {needed} or newer")


def _environment(trusted: bool) -> dict[str, str]:
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_ALLOW_PROTOCOL": "file",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_EDITOR": "false",
    }
    if trusted:
        return {
            **env,
            "HOME": "/nonexistent",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ATTR_NOSYSTEM": "1",
        }
    names = ("HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_CEILING_DIRECTORIES")
    return env | {name: os.environ[name] for name in names if name in os.environ}
