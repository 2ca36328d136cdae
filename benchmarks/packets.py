"""What packets weigh beside the bare texts that their tasks must be told, with and without digests, in a real run.

The coordinator's own example is carried out with a context of 6,000 estimated tokens in ten labelled sections, by a
scripted model. The minimum of a task is the estimate of its own fields' texts, of the sections and answers of the
analysis that its specialist sees, and of what its direct dependencies decided and delivered, without any label.

With digests, later reads count: the call and its result. Assumption: of each outlined text a specialist reads a third
(`--share 0.5` assumes another part), in one piece, since tasks are about some of what a section treats.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from unittest.mock import patch

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from backend_coordinator import Coordinator, Plan, Report, Settings, Task
from backend_coordinator.domain.context import ContextItem
from backend_coordinator.domain.objective import Analysis
from backend_coordinator.nodes import digests
from backend_coordinator.nodes.brief import answers, items_from
from backend_coordinator.nodes.firewall import estimate_tokens
from backend_coordinator.nodes.items import items_of
from backend_coordinator.nodes.tools.catalogue import roster_with, tools_of
from backend_coordinator.testing import ScriptedModel, calls

OBJECTIVE = "Add user authentication system with OAuth2 and JWT"
BOUND, DIGEST_BOUND, APART_BOUND = 1.15, 0.8, 1_200
SHARE = 1 / 3
PARTS = ("registration", "sign-in", "token refresh", "sign-out", "OAuth2 sign-in", "account changes")
SECTIONS = {
    "API contract: authentication": (
        "{Part} is one POST below /v1/auth and takes a JSON object; unknown fields of it are refused with 400.",
        "A success answers within the same connection with an object whose names are in snake case, never an array.",
        "Clients may repeat {part} within ten minutes with the same Idempotency-Key and get the first answer again.",
        "The operation id is the verb and the noun in camel case, and every status is described with one example.",
    ),
    "Frontend integration: forms": (
        "The form for {part} keeps what was typed when the server refuses it and puts the focus on the first field.",
        "It shows a message for each code in the error object and falls back to the title where a code is not known.",
        "While {part} is under way the button is disabled; after eight seconds the page offers to try again.",
        "Browsers hold the refresh token in a cookie that scripts cannot read, so the page never stores it itself.",
    ),
    "Third-party contract: identity provider": (
        "For {part} the provider is asked with a state value of 32 bytes which is good for ten minutes and once.",
        "Its discovery document is kept for a day, its keys for an hour, and both are read again when a key is new.",
        "When the provider does not answer in three seconds {part} ends with 503 and a Retry-After of thirty.",
        "Only the subject, the address and whether that was verified are taken over; all other claims are dropped.",
    ),
    "System design: identity": (
        "{Part} belongs to the identity package, which no other package may import but through its three ports.",
        "State is in PostgreSQL alone, so that two instances can serve one user's requests in any order they arrive.",
        "Whatever {part} changes is told to other services by one event in an outbox table, sent at least once.",
        "A later split into a service of its own must need no change of the contract and one change of the gateway.",
    ),
    "Database schema: identity": (
        "Rows that {part} writes carry created_at and updated_at in UTC, set by the database and never by the code.",
        "Keys are UUIDs made by the application; foreign keys restrict deletion except from accounts to sessions.",
        "For {part} there is one partial index on rows that are not revoked, which all its queries have to use.",
        "Addresses are stored as typed and compared by a generated column in lower case that has a unique index.",
    ),
    "Business logic: accounts": (
        "{Part} is refused for accounts that are locked, and the answer does not tell that from a wrong password.",
        "Ten failures within an hour lock an account for an hour; a person of the support team may lift that early.",
        "After {part} the account's last_seen moves forward, at most once in five minutes for one session.",
        "An account without a verified address may sign in for seven days and change nothing but that address.",
    ),
    "Error handling: problems": (
        "{Part} answers errors as application/problem+json with type, title, status, code and a trace id.",
        "Expected refusals are values that the handler maps to a status; only what nobody foresaw is an exception.",
        "A failure of {part} after its first write rolls everything back, and the answer says nothing of the reason.",
        "Each code is written down once in a table that the tests compare with the contract's list of examples.",
    ),
    "Performance requirements: identity": (
        "{Part} answers within 200 ms at the 95th percentile with 300 requests a second on two instances.",
        "Hashing a password may take 80 ms of one core and runs outside of the event loop, four at a time.",
        "No request of {part} sends more than three statements to the database, whatever the number of sessions.",
        "A cold instance reaches these figures within thirty seconds; the load test leaves out what came before.",
    ),
    "Security requirements: identity": (
        "{Part} is limited to ten attempts a minute for an address and to sixty for a network of that size.",
        "Passwords are hashed with Argon2id at 64 MB; access tokens live for ten minutes and are signed with EdDSA.",
        "Every attempt of {part} leaves one line in the audit log with outcome and trace id, without the address.",
        "Keys rotate every thirty days with a week in which both are good, and a leaked one can be revoked at once.",
    ),
    "Frontend markup: pages": (
        "The page for {part} has one main landmark, one heading of the first level and a form with labelled fields.",
        "Colours come from the theme's variables, and no text has a contrast below four and a half to one.",
        "Fields of {part} carry autocomplete hints so that password stores fill them, and an inline message each.",
        "On narrow screens the columns stand one below the other and the button takes the whole width of the form.",
    ),
}
SEES = {
    "api-architect": {"api_contract", "frontend_integration", "third_party_contract", "api_requirement"},
    "backend-architect": {"system_design", "api_contract", "database_schema", "scalability_constraint", "test_result"},
    "database-optimizer": {"database_schema", "data_model", "query_pattern"},
    "python-pro": {"api_contract", "business_logic", "database_schema", "error_handling", "code_pattern"},
}
UNIVERSAL = {"security_requirement", "performance_requirement", "technology_stack"}
ANALYSIS = Analysis(
    endpoints=("POST /v1/auth/register, /login, /refresh and /logout", "GET /v1/auth/oauth2/start and /callback"),
    schema_changes=("new tables accounts, sessions and provider_links",),
    auth_requirements=("passwords are hashed", "refresh tokens rotate and are revoked as a family when one is reused"),
    performance_requirements=("p95 of each endpoint under 200 ms",),
    third_party_integrations=("one OpenID provider, by authorization code with PKCE",),
)
TASKS = (
    ("api-architect", "Design the authentication contract", "design_contract share_contract validate_contract", ()),
    (
        "database-optimizer",
        "Design the schema for accounts and sessions",
        "design_migration rollback_script rehearsal deployment_handover rollout_plan monitoring",
        (),
    ),
    ("python-pro", "Implement the authentication endpoints", "write_code write_tests integration_test", (1, 2)),
    ("python-pro", "Implement the OAuth2 provider", "write_code write_tests", (1, 2)),
    ("python-pro", "Implement the JWT middleware", "write_code write_tests", (3,)),
    ("database-optimizer", "Implement the database side of account management", "write_code write_tests", (2, 3)),
    ("backend-architect", "Audit the security of authentication", "security_review", (1, 2, 3, 4, 5, 6)),
    ("backend-architect", "Test the performance of authentication", "performance_test", (3, 4, 5, 6)),
)
COVERS = ("endpoint-1 endpoint-2", "schema-1", "auth-1", "integration-1", "auth-2", "", "", "performance-1")
_OUTLINE = re.compile(r'^(\d+) characters, recall call="(item-\d+)".*\n((?:\d+: .*\n?)+)', re.MULTILINE)


def specification() -> str:
    """The user's context: ten sections of six paragraphs."""
    sections = [
        f"## {title}\n\n" + "\n\n".join(" ".join(lines).format(part=p, Part=p[0].upper() + p[1:]) for p in PARTS)
        for title, lines in SECTIONS.items()
    ]
    return "\n\n".join(sections) + "\n"


def plan() -> Plan:
    """The example's eight tasks."""
    return Plan(tasks=tuple(_task(number, *row) for number, row in enumerate(TASKS, 1)))


def _task(number: int, specialist: str, title: str, steps: str, needs: Sequence[int]) -> Task:
    values = {
        "id": f"backend-T{number:03d}",
        "title": title,
        "objective": f"{title}: carry out what the context says about it for all clients of the shop, completely "
        "and in the project's own style, so that a later change of the provider stays within one module.",
        "specialist": specialist,
        "needs": [f"backend-T{need:03d}" for need in needs],
        "requirements": {
            "technical": ["works with the application there is and adds no new framework to it"],
            "security": ["no secret is written into a file or a log"],
        },
        "acceptance_criteria": ["everything that the context demands of this part is there", "all tests pass"],
        "expected_output": [f"app/part{number}.txt with the result", "tests that show it"],
        "success_criteria": ["the audit finds nothing to mend in it"],
        "writes": [f"app/part{number}.txt"],
        "steps": steps.split(),
        "covers": COVERS[number - 1].split(),
    }
    return Task.model_validate(values)


@dataclass
class Seen:
    """What the models were shown in one run: by task the first prompt, the system prompt, and tokens of later reads."""

    share: float
    packets: dict[str, str] = field(default_factory=dict)
    systems: dict[str, str] = field(default_factory=dict)
    reads: dict[str, int] = field(default_factory=dict)

    def script(self, messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        """Answers the coordinator, and works as a specialist that reads on, writes its file and submits."""
        turn = sum(isinstance(message, AIMessage) for message in messages)
        if "submit" not in tools:
            drafts = {"answer_analysis": ANALYSIS, "answer_decomposition": plan()}
            named = [name for name in tools if name in drafts]
            return calls((named[0], drafts[named[0]].model_dump(mode="json")), turn=turn) if named else AIMessage("no")
        packet = next(str(message.text) for message in messages if isinstance(message, HumanMessage))
        task = packet.partition("TASK ID: ")[2][:12]
        self.packets.setdefault(task, packet)
        self.systems.setdefault(task, str(next(m.text for m in messages if isinstance(m, SystemMessage))))
        wanted = [self._part(found) for found in _OUTLINE.finditer(packet)]
        if turn == 0 and wanted:
            return calls(*(("recall", arguments) for arguments in wanted), turn=turn)
        results = [str(m.text) for m in messages if isinstance(m, ToolMessage) and m.name == "recall"]
        self.reads[task] = sum(map(estimate_tokens, (*results, *map(json.dumps, wanted))))
        if turn <= 1 and not any(m.name == "write" for m in messages if isinstance(m, ToolMessage)):
            return calls(("write", {"path": f"app/part{int(task[-3:])}.txt", "content": f"{task}\n"}), turn=turn)
        return calls(("submit", {"summary": "done", "decisions": [_decision(task)]}), turn=turn)

    def _part(self, found: re.Match[str]) -> dict[str, object]:
        starts = [int(line.partition(":")[0]) for line in found[3].splitlines()]
        ends, most = [*starts[1:], int(found[1])], int(found[1]) * self.share
        last = max((n for n, end in enumerate(ends) if end <= most), default=0)
        return {"call": found[2], "offset": 0, "limit": ends[last]}


def _decision(task: str) -> dict[str, str]:
    kind = {"api-architect": "api_contract", "database-optimizer": "database_schema"}.get(plan()[task].specialist)
    return {"kind": kind or "code_pattern", "text": f"{task} keeps to the names that the context gives its parts"}


def carried_out(folder: Path, share: float) -> tuple[Seen, Report]:
    """One run of the example in a new repository."""
    shop = folder / "shop"
    (shop / "app").mkdir(parents=True)
    (shop / "app" / "main.py").write_text("from fastapi import FastAPI\n\napp = FastAPI()\n")
    (shop / "pyproject.toml").write_text('[project]\nname = "shop"\nversion = "1"\ndependencies = ["fastapi"]\n')
    (folder / "context.md").write_text(specification())
    for command in (["init", "-qb", "main"], ["add", "."], ["commit", "-qm", "start"]):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *command], cwd=shop, check=True)
    seen = Seen(share)
    coordinator = Coordinator(ScriptedModel(script=seen.script), shop, settings=Settings(sandbox="none"))
    return seen, coordinator.start(OBJECTIVE, context=[folder / "context.md"]).result()


def rows(share: float) -> list[dict[str, object]]:
    """One row a task; the first run shows long texts whole, the second by their outlines."""
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        with patch.object(digests, "ABOVE", sys.maxsize):
            whole, report = carried_out(Path(first), share)
        outlined, _ = carried_out(Path(second), share)
        sections = items_of([Path(first, "context.md")])
    return [_row(task, report, sections, whole, outlined) for task in plan().tasks]


def _row(task: Task, report: Report, sections: Sequence[ContextItem], whole: Seen, outlined: Seen) -> dict[str, object]:
    sees = SEES[task.specialist] | UNIVERSAL
    done = items_from([result for result in report.tasks if result.id in task.needs])
    told = [item.text for item in (*sections, *answers(ANALYSIS), *done) if item.kind in sees]
    fields = [line for _, lines in task.requirements for line in lines]
    lists = (fields, task.acceptance_criteria, task.success_criteria, task.expected_output, task.writes, task.steps)
    own = (task.id, task.title, task.objective, task.specialist, *task.needs, *plan().blocks[task.id], *chain(*lists))
    minimum = estimate_tokens("\n".join((*own, *told)))
    packet, short = (estimate_tokens(seen.packets[task.id]) for seen in (whole, outlined))
    schemas = [tool.schema for tool in tools_of(roster_with().get(task.specialist)).values()]
    wrong = [s.source for s in sections if (s.text in whole.packets[task.id]) != (s.kind in sees)]
    leads = [s.source for s in sections if (s.text[:24] in outlined.packets[task.id]) != (s.kind in sees)]
    return {
        "task": task.id,
        "specialist": task.specialist,
        "minimum": minimum,
        "packet": packet,
        "ratio": round(packet / minimum, 3),
        "digests": short,
        "reads": outlined.reads[task.id],
        "digest_ratio": round((short + outlined.reads[task.id]) / minimum, 3),
        "received": sum(section.text in whole.packets[task.id] for section in sections),
        "withheld": sum(section.text not in whole.packets[task.id] for section in sections),
        "wrong": [*wrong, *leads],
        "roster": estimate_tokens(whole.systems[task.id]),
        "schemas": estimate_tokens(json.dumps(schemas)),
    }


def good(row: dict[str, object]) -> bool:
    """Whether a task keeps within the bounds and has its sections and no other."""
    return (
        float(str(row["ratio"])) <= BOUND
        and float(str(row["digest_ratio"])) <= DIGEST_BOUND
        and not row["wrong"]
        and int(str(row["roster"])) + int(str(row["schemas"])) < APART_BOUND
    )


def main(arguments: Sequence[str]) -> int:
    """Prints the table; 1 when a task is over a bound, lacks a section or has one that it must not see."""
    share = float(arguments[arguments.index("--share") + 1]) if "--share" in arguments else SHARE
    table = rows(share)
    context = estimate_tokens(specification())
    if "--json" in arguments:
        sys.stdout.write(json.dumps({"context": context, "share": share, "tasks": table}, indent=1) + "\n")
    else:
        sys.stdout.write(f"context: {context} tokens in {len(SECTIONS)} sections, share read: {share:.2f}\n")
        for row in table:
            sys.stdout.write(" ".join(f"{name} {value}" for name, value in row.items()) + "\n")
    return 0 if all(map(good, table)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
