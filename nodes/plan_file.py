"""Plans as files: YAML or JSON that a person edits and gives back."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import yaml
from pydantic import TypeAdapter, ValidationError

from backend_coordinator.domain.objective import Analysis
from backend_coordinator.domain.plan import Finding, Plan
from backend_coordinator.domain.roster import Roster
from backend_coordinator.errors import ConfigurationError
from backend_coordinator.nodes.ledger import Ledger
from backend_coordinator.nodes.plan_compiler import PlanDraft
from backend_coordinator.prompts.frontmatter import FrontMatterError, read_bare

NOTE = "plan findings"
"""Where a run keeps what was found in the file of its plan before it began."""
SHOWN = ("groups", "critical_path", "answers", "stacks", "reasons", "findings", "covered")
"""What `plan --json` tells beside the tasks; in a file that is given back it is passed over."""
_FINDINGS: TypeAdapter[tuple[Finding, ...]] = TypeAdapter(tuple[Finding, ...])


class PlanFile(NamedTuple):
    """A draft, and in a YAML file the line of each task, first to last."""

    draft: PlanDraft
    lines: tuple[int, ...] = ()

    def line(self, task: str | None) -> int | None:
        """Where a task begins; None in a JSON file and for what is no task of the file."""
        ids = [each.id for each in self.draft.tasks]
        return self.lines[ids.index(task)] if task in ids and self.lines else None


def read_plan(file: Path) -> PlanFile:
    """A plan in a file, JSON by its name and YAML otherwise; nothing in it is trusted yet.

    Raises ConfigurationError, with the line where it is known.
    """
    lines: Mapping[tuple[str | int, ...], int] = {}
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".json":
            data: object = json.loads(text, object_pairs_hook=_once)
        else:
            document = read_bare(text, str(file))
            data, lines = _texts(document.data), document.lines
        draft = PlanDraft.model_validate({"tasks": _tasks(data)})
    except FrontMatterError as error:
        msg = f"{file}:{error.line}: {error.problem.replace('front matter', 'file')}"
        raise ConfigurationError(msg) from error
    except ValidationError as error:
        wrong = error.errors()[0]
        where = tuple(wrong["loc"])
        line = next((lines[where[:n]] for n in range(len(where), 0, -1) if where[:n] in lines), None)
        place = f"{file}:{line}" if line else str(file)
        one = wrong["input"] if wrong["type"] == "tuple_type" else None
        why = f"must be a list: [{one}]" if isinstance(one, str) else wrong["msg"]
        msg = f"{place} is not a plan: {'.'.join(map(str, where))}: {why}"
        raise ConfigurationError(msg) from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())[:300]
        msg = f"{file} is not a plan: {why}; `plan OBJECTIVE --out FILE` writes one"
        raise ConfigurationError(msg) from error
    return PlanFile(draft, tuple(lines["tasks", n] for n in range(len(draft.tasks))) if lines else ())


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object of JSON; raises ValueError for a key that stands in it twice, of which one would be lost."""
    names = [name for name, _ in pairs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        msg = f"the key {twice!r} stands there twice"
        raise ValueError(msg)
    return dict(pairs)


def _tasks(data: object) -> object:
    """The tasks of a file; raises ValueError for what stands beside them and KeyError where there are none."""
    if not isinstance(data, dict):
        msg = "it is no mapping with tasks"
        raise ValueError(msg)
    tasks = data["tasks"]
    if strangers := sorted(str(name) for name in data if name not in ("tasks", *SHOWN)):
        msg = f"beside tasks it has {', '.join(strangers)}"
        raise ValueError(msg)
    return tasks


def _texts(value: object) -> object:
    """Every scalar as text: a plan has nothing else."""
    if isinstance(value, dict):
        return {name: _texts(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_texts(each) for each in value]
    return str(value) if isinstance(value, int | float) else value


def written(plan: Plan, *, roster: Roster, analysis: Analysis, as_json: bool) -> str:
    """The file of a plan: what is empty is left out; comments in YAML name the specialists and the answers."""
    tasks = [task.model_dump(mode="json", exclude_defaults=True) for task in plan.tasks]
    if as_json:
        return json.dumps({"tasks": tasks}, indent=1, ensure_ascii=False) + "\n"
    members = [m for m in roster.specialists if m.role == "specialist"]
    notes = [
        "`plan check FILE` says whether the plan still holds together; `run OBJECTIVE --plan FILE` follows it.",
        "Specialists:",
        *(f"  {member.name}: {member.description}" for member in members),
        "Answers of the analysis, for `covers`:",
        *(f"  {name}: {' '.join(text.split())}" for name, text in analysis.answers.items()),
    ]
    body = yaml.safe_dump({"tasks": tasks}, sort_keys=False, allow_unicode=True, width=110)
    return "".join(f"# {note}\n" for note in notes) + "\n" + body


def findings_before(ledger: Ledger) -> tuple[Finding, ...]:
    """What was found in the file of a run's plan before it began."""
    return _FINDINGS.validate_json(ledger.noted(NOTE) or "[]")


def as_note(findings: tuple[Finding, ...]) -> str:
    """Findings as a run keeps them."""
    return _FINDINGS.dump_json(findings).decode()
