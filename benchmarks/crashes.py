"""Whether a run of four tasks survives being killed at random moments: each ends complete, and nothing runs twice."""

import argparse
import importlib
import json
import math
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))
from backend_coordinator.nodes.points import POINTS
from tests.support.crashes import Kill, Moment, Scene, forked, play
from tests.support.runs import git

KINDS = ("point", "call", "time")
AT_ONCE = 2
AGAIN = 0.25
"""The share of rounds in which the process that goes on is killed, too."""
LEAST_AMID = 0.5
"""The share of kills that must come with one task finished and one running."""
MOST_ROUNDS = 3
"""For each kill: some moments come when the run has ended."""

Lengths = Mapping[bool, Mapping[str, float]]
"""How many points and calls a whole run passes, and its seconds, and the same for the part that is amid."""


class Round(NamedTuple):
    """One run: when its processes were to die, how they died, and what was wrong in the end."""

    moments: str
    kills: list[Kill]
    wrong: list[str]


def main() -> int:
    """Prints the table; 1 when a run did not end as it must, or too few kills came amid."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=300)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        lengths = {amid: length(folder, amid) for amid in (False, True)}
        began = time.monotonic()
        rounds = list(played(folder, lengths, given.kills, given.seed))
        seconds = time.monotonic() - began
    kills = [Kill(*kill) for each in rounds for kill in each.kills]
    wrong = [f"seed {given.seed}, {each.moments}: {what}" for each in rounds for what in each.wrong]
    told: dict[str, object] = {
        "seed": given.seed,
        "rounds": len(rounds),
        "seconds per round": round(seconds / max(1, len(rounds)), 2),
        "kills": len(kills),
        "with one task finished and one running": sum(kill.amid for kill in kills),
        "kills by kind": Counter(kill.kind for kill in kills),
        "kills by the point passed last": {
            at: count for at in ("none", *POINTS) if (count := sum(kill.after == at for kill in kills))
        },
        "violations": len(wrong),
        "what": dict(enumerate(wrong, 1)),
    }
    sys.stdout.write(json.dumps(told) + "\n" if given.json else table(told))
    enough = len(kills) >= given.kills and sum(kill.amid for kill in kills) >= LEAST_AMID * len(kills)
    return int(bool(wrong) or not enough)


def table(told: Mapping[str, object]) -> str:
    """The same for people."""
    lines = []
    for name, value in told.items():
        inner = value if isinstance(value, dict) else {}
        lines += [name if inner else f"{name:42}{value or 0}", *(f"    {key!s:38}{inner[key]}" for key in inner)]
    return "\n".join(lines) + "\n"


def prepare(folder: Path) -> None:
    """A repository to copy, an identity, and all that a run imports."""
    (folder / ".gitconfig").write_text("[user]\n\tname = Ann\n\temail = ann@example.org\n")
    os.environ |= {"HOME": str(folder), "BACKEND_COORDINATOR_CACHE": str(folder / "cache")}
    (folder / "shop").mkdir()
    git(folder / "shop", "init", "--quiet")
    (folder / "shop" / "notes.txt").write_text("one\n")
    git(folder / "shop", "add", ".")
    git(folder / "shop", "commit", "--quiet", "-m", "start")

    def run_once() -> None:
        fresh(folder, "first").drive(None)
        (folder / "modules").write_text("\n".join(sys.modules))

    if forked(run_once):
        sys.exit("a run that nobody killed did not end")
    for name in (folder / "modules").read_text().splitlines():
        if name not in sys.modules and name != "__main__":
            importlib.import_module(name)


def fresh(folder: Path, name: str) -> Scene:
    """A scene of its own."""
    scene = Scene(folder / name / "shop", folder / name)
    shutil.copytree(folder / "shop", scene.shop)
    return scene


def length(folder: Path, amid: bool) -> dict[str, float]:
    """How many points and calls a run that nobody kills passes, and its seconds; `amid`, of that part of it."""
    scene = fresh(folder, f"measured-{amid}")
    forked(lambda: scene.drive(Moment("point", math.inf, amid=amid)))
    counted: dict[str, float] = json.loads((scene.folder / "counted").read_text())
    return counted


def played(folder: Path, lengths: Lengths, kills: int, seed: int) -> Iterator[Round]:
    """The rounds of several processes at once, until together they have killed often enough."""
    workers = []
    for worker in range(AT_ONCE):
        quota = kills // AT_ONCE + (worker < kills % AT_ONCE)
        if (process := os.fork()) == 0:
            done = list(rounds_of(folder, lengths, quota, random.Random(f"{seed}/{worker}")))
            (folder / f"rounds-{worker}").write_text(json.dumps(done))
            os._exit(0)
        workers.append(process)
    for worker, process in enumerate(workers):
        os.waitpid(process, 0)
        yield from (Round(*each) for each in json.loads((folder / f"rounds-{worker}").read_text()))


def rounds_of(folder: Path, lengths: Lengths, quota: int, chance: random.Random) -> Iterator[Round]:
    """Rounds until `quota` processes were killed."""
    killed = 0
    for number in range(MOST_ROUNDS * quota):
        if killed >= quota:
            return
        moments = [drawn(lengths, chance, amid=number % 2 == 0)]
        if killed + 1 < quota and chance.random() < AGAIN:
            moments.append(drawn(lengths, chance, amid=chance.random() < LEAST_AMID))
        scene = fresh(folder, f"{os.getpid()}-{number}")
        kills, wrong = play(scene, moments)
        killed += len(kills)
        shutil.rmtree(scene.folder)
        yield Round(f"{moments}", kills, wrong)


def drawn(lengths: Lengths, chance: random.Random, *, amid: bool) -> Moment:
    """A moment of any kind, anywhere in the run or in that part of it."""
    kind = chance.choice(KINDS)
    last = lengths[amid][kind]
    count = chance.uniform(0, last) if kind == "time" else chance.randint(1, int(last))
    return Moment(kind, count, amid=amid)


if __name__ == "__main__":
    sys.exit(main())
