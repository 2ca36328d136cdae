"""Answers as models really write them: what each means, and what has to be asked back where it cannot be read."""

import json
from typing import Literal, NamedTuple

from langchain_core.messages import AIMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call

Json = dict[str, object]
UNSOUND = (
    "the tasks form a cycle",
    "no specialist is called 'wizard'",
    "takes no tasks",
    "doubled task ids",
    "the plan has no task",
)
Kind = Literal["analysis", "decomposition", "review", "consultation", "needs"]


class Sloppy(NamedTuple):
    """One answer; `asked` is what the corrective round must say, empty where none is needed."""

    name: str
    kind: Kind
    reply: AIMessage
    means: Json
    asked: str = ""

    @property
    def compiled(self) -> bool:
        """Whether it can be read, and is unsound: what the compiler finds goes back then."""
        return self.asked in UNSOUND


def called(*given: Json, name: str = "answer_it") -> AIMessage:
    """A message of tool calls."""
    return AIMessage("", tool_calls=[tool_call(name=name, args=dict(a), id=f"c{n}") for n, a in enumerate(given)])


def broken(arguments: str) -> AIMessage:
    """A tool call whose arguments are no JSON."""
    return AIMessage("", invalid_tool_calls=[invalid_tool_call(name="answer_it", args=arguments, id="c", error="no")])


def fenced(value: object, language: str = "json") -> str:
    return f"```{language}\n{json.dumps(value, indent=2)}\n```"


def without(value: Json, *names: str) -> Json:
    return {name: each for name, each in value.items() if name not in names}


A: Json = {
    "endpoints": ["POST /login signs a user in"],
    "schema_changes": ["table users gets password_hash"],
    "auth_requirements": ["passwords are hashed"],
    "performance_requirements": [],
    "scalability_constraints": [],
    "third_party_integrations": [],
    "monitoring_needs": ["failed logins are counted"],
}
AJ = json.dumps(A)
MANY = {**A, "endpoints": ["POST /login", "POST /logout"]}
RECORD = {**A, "endpoints": ["method: POST; path: /login; purpose: sign in"]}

ANALYSES = [
    ("a fence", AIMessage(fenced(A)), A, ""),
    ("a fence without a language amid prose", AIMessage(f"Here it is:\n{fenced(A, '')}\nTell me more."), A, ""),
    (
        "prose with braces",
        AIMessage(f"Besides GET /users/{{id}} and [1], this changes: {AJ} I hope {{}} helps."),
        A,
        "",
    ),
    ("a call as text", AIMessage(json.dumps({"name": "answer_analysis", "arguments": A})), A, ""),
    (
        "a call in tags",
        AIMessage(f'<tool_call>\n{{"name": "answer_analysis", "arguments": {AJ}}}\n</tool_call>'),
        A,
        "",
    ),
    ("a call with encoded arguments", AIMessage(json.dumps({"name": "answer_analysis", "arguments": AJ})), A, ""),
    (
        "a call as Mistral writes it",
        AIMessage(f'[TOOL_CALLS][{{"name": "answer_analysis", "arguments": {AJ}}}]'),
        A,
        "",
    ),
    ("a text for a list", called({**A, "endpoints": "POST /login signs a user in"}), A, ""),
    ("bullets for a list", called({**A, "endpoints": "- POST /login\n- POST /logout\n"}), MANY, ""),
    ("null for lists", called({**A, "performance_requirements": None, "scalability_constraints": None}), A, ""),
    ("an outer key", AIMessage(json.dumps({"analysis": A})), A, ""),
    ("two outer keys", AIMessage(json.dumps({"result": {"analysis": A}})), A, ""),
    (
        "humps",
        called({"".join(w.title() for w in name.split("_")): value for name, value in A.items()}),
        A,
        "",
    ),
    (
        "records for statements",
        called({**A, "endpoints": [{"method": "POST", "path": "/login", "purpose": "sign in"}]}),
        RECORD,
        "",
    ),
    ("reasoning beside", called({"reasoning": "The user wants a login.", **A}), A, ""),
    ("thoughts before", AIMessage(f'<think>Maybe {{"endpoints": []}}?</think>\n{AJ}'), A, ""),
    ("none for nothing", called({**A, "performance_requirements": ["None."], "scalability_constraints": "N/A"}), A, ""),
    ("trailing commas and comments", AIMessage(AJ[:-1] + ", // all of them\n}"), A, ""),
    ("an empty call beside text", AIMessage(AJ, tool_calls=called({}).tool_calls), A, ""),
    ("Python's notation", AIMessage(f"```python\n{ {**A, 'performance_requirements': None} }\n```"), A, ""),
    ("a list around", AIMessage(json.dumps([A])), A, ""),
    (
        "a line break in a text",
        AIMessage(AJ.replace("signs a", "signs\na")),
        {**A, "endpoints": ["POST /login signs\na user in"]},
        "",
    ),
    ("the schema filled in", AIMessage(json.dumps({"type": "object", "properties": A})), A, ""),
    (
        "a key that may be another's",
        called({**without(A, "schema_changes"), "schema_change": ["x"]}),
        A,
        "'schema_change'",
    ),
    ("notes only", called({"notes": "Nothing changes."}), A, "'notes'"),
    ("thoughts whose beginning is not sent", AIMessage(f'Is it {{"endpoints": ["GET /"]}}?</think>{AJ}'), A, ""),
    ("prose only", AIMessage("You need POST /login, and the table users gets a column."), A, "no whole JSON object"),
    ("headings", AIMessage("## Endpoints\n- POST /login\n\n## Schema\n- users"), A, "no whole JSON object"),
    ("a record for a list", called({**A, "endpoints": {"POST /login": "in", "POST /logout": "out"}}), A, "endpoints:"),
]

T1: Json = {
    "id": "backend-T001",
    "title": "Design the contract",
    "objective": "Write the contract of POST /login.",
    "specialist": "api-architect",
    "needs": [],
    "acceptance_criteria": ["openapi.yaml describes POST /login"],
    "writes": ["openapi.yaml"],
    "steps": ["design_contract"],
    "priority": "high",
    "effort": "quick",
    "service": None,
}
T2: Json = {
    "id": "backend-T002",
    "title": "Implement the login",
    "objective": "Implement POST /login.",
    "specialist": "python-pro",
    "needs": ["backend-T001"],
    "acceptance_criteria": ["a wrong password gives 401"],
    "writes": ["app/**", "tests/**"],
    "steps": ["write_code", "write_tests"],
    "priority": "normal",
    "effort": "medium",
    "service": None,
}
T3: Json = {
    "id": "backend-T003",
    "title": "Review",
    "objective": "Review the login.",
    "specialist": "backend-architect",
    "needs": ["backend-T002"],
    "writes": ["docs/security.md"],
    "steps": ["security_review"],
}
P: Json = {"tasks": [T1, T2, T3]}
PJ = json.dumps(P)


def draft(first: Json | None = None, second: Json | None = None) -> Json:
    return {"tasks": [{**T1, **(first or {})}, {**T2, **(second or {})}, T3]}


def renamed(name: str, number: str) -> Json:
    tasks: list[Json] = json.loads(PJ.replace("backend-T00", number))["tasks"]
    return {"tasks": [{name if key == "id" else key: value for key, value in task.items()} for task in tasks]}


QUOTED = draft({"title": 'Design the "login" contract', "objective": 'Write the "login" contract of POST /login.'})
DRAFTS = [
    ("a fence", AIMessage(f"Here is the plan:\n\n{fenced(P)}\n\nIt has three tasks."), P, ""),
    ("the bare list", AIMessage(fenced(P["tasks"])), P, ""),
    ("an outer key", AIMessage(json.dumps({"plan": P})), P, ""),
    ("another name for the list", AIMessage(json.dumps({"plan": P["tasks"]})), P, ""),
    ("short ids", called(renamed("id", "T")), P, ""),
    ("ids in words", called(renamed("ID", "Task ")), P, ""),
    ("ids in lower case", called(renamed("id", "backend-t00")), P, ""),
    (
        "numbers as ids",
        called({"tasks": [{**T1, "id": 1}, {**T2, "id": 2, "needs": [1]}, {**T3, "id": 3, "needs": "2"}]}),
        P,
        "",
    ),
    ("capital enums", called(draft({"priority": "High", "effort": "QUICK"}, {"effort": " Medium "})), P, ""),
    ("enums in words", called(draft({"steps": ["Design Contract"]}, {"steps": ["write-code", "Write tests"]})), P, ""),
    ("one need as text", called(draft(None, {"needs": "backend-T001"})), P, ""),
    ("none for no needs", called(draft({"needs": "none"})), P, ""),
    ("null for defaults", called(draft({"needs": None, "requirements": None, "success_criteria": None})), P, ""),
    ("globs between commas", called(draft(None, {"writes": "app/**, tests/**"})), P, ""),
    ("an encoded list", called({"tasks": json.dumps(P["tasks"])}), P, ""),
    ("null in quotes", called(draft({"service": "null"}, {"service": "None"})), P, ""),
    (
        "a name in another spelling",
        called(draft({"specialist": "API Architect"}, {"specialist": "@python-pro"})),
        P,
        "",
    ),
    (
        "humps",
        called(
            {
                "tasks": [
                    {"acceptanceCriteria" if k == "acceptance_criteria" else k: v for k, v in t.items()}
                    for t in (T1, T2, T3)
                ]
            }
        ),
        P,
        "",
    ),
    ("brackets not closed", AIMessage(PJ[:-2]), P, ""),
    ("quotes within quotes", AIMessage(PJ.replace("the contract", 'the "login" contract')), QUOTED, ""),
    ("parameters", AIMessage(json.dumps({"tool": "answer_decomposition", "parameters": P})), P, ""),
    (
        "notes where all is given",
        called({"tasks": [{**T1, "notes": "first"}, T2, T3], "summary": "three tasks"}),
        P,
        "",
    ),
    ("a list for requirements", called(draft({"requirements": ["fast", "safe"]})), P, "tasks.0.requirements"),
    ("an unknown priority", called(draft({"priority": "critical"})), P, "tasks.0.priority: Input should be 'low'"),
    ("an unknown step", called(draft({"steps": ["deploy"]})), P, "tasks.0.steps.0: Input should be"),
    ("no specialist", called({"tasks": [without(T1, "specialist"), T2, T3]}), P, "tasks.0.specialist is missing"),
    ("no title", called({"tasks": [T1, without(T2, "title", "objective"), T3]}), P, "tasks.1.title is missing"),
    (
        "needs under another name",
        called({"tasks": [T1, {**without(T2, "needs"), "depends_on": ["backend-T001"]}, T3]}),
        P,
        "'depends_on'",
    ),
    ("parts left out", AIMessage(f'{{"tasks": [{json.dumps(T1)}, ... ]}}'), P, "no whole JSON object"),
    ("tasks by id", called({"tasks": {"backend-T001": T1, "backend-T002": T2}}), P, "tasks"),
    ("cut within a text", AIMessage(PJ[: PJ.index("login")]), P, "no whole JSON object"),
    ("ids that are names", AIMessage(PJ.replace("backend-T001", "contract")), P, "tasks.0.id: String should match"),
    ("a cycle that the steps undo", called(draft({"needs": ["backend-T002"]})), P, ""),
    ("a task that needs itself", called(draft({"needs": ["backend-T001"]})), P, ""),
    ("a stranger for a known step", called(draft({"specialist": "wizard"})), P, ""),
    ("a consultant for a known step", called(draft({"specialist": "librarian"})), P, ""),
    ("a need nobody has", called(draft({"needs": ["backend-T009"]})), P, ""),
    ("a cycle", called(draft({"needs": ["backend-T002"], "steps": []})), P, "the tasks form a cycle"),
    ("a stranger", called(draft({"specialist": "wizard", "steps": []})), P, "no specialist is called 'wizard'"),
    ("a consultant with a task", called(draft({"specialist": "librarian", "steps": []})), P, "takes no tasks"),
    (
        "doubled ids",
        called({"tasks": [T1, {**T2, "id": "backend-T001", "needs": []}, {**T3, "needs": ["backend-T001"]}]}),
        P,
        "doubled task ids",
    ),
    ("no tasks", called({"tasks": []}), P, "the plan has no task"),
]

R: Json = {"action": "guide", "text": "Hash the password before it is stored.", "to": None}
UP: Json = {"action": "give_up", "text": "The provider is gone.", "to": None}
TO: Json = {"action": "reassign", "text": "It is a matter of indexes.", "to": "database-optimizer"}
RJ = json.dumps(R)
REVIEWS = [
    ("a capital", called({**R, "action": "Guide"}), R, ""),
    ("words", called({**UP, "action": "give up"}), UP, ""),
    ("a hyphen and a stop", called({**UP, "action": "Give-up."}), UP, ""),
    ("thought and action", AIMessage(f'Thought: hash it.\n{{"action": "answer_review", "action_input": {RJ}}}'), R, ""),
    ("the same answer twice", AIMessage(f"{RJ}\n\nAgain, as JSON:\n{fenced(R)}"), R, ""),
    ("the same call twice", called(R, R), R, ""),
    ("confidence", called({**R, "confidence": 0.9}), R, ""),
    (
        "lines",
        called({**R, "text": ["Hash it.", "Then run the tests."]}),
        {**R, "text": "Hash it.\nThen run the tests."},
        "",
    ),
    ("none for nobody", called({**R, "to": "none"}), R, ""),
    ("a list of one", called({**TO, "action": ["reassign"], "to": "database-optimizer"}), TO, ""),
    ("typographic quotes", AIMessage("{“action”: “guide”, “text”: “Hash the password before it is stored.”}"), R, ""),
    ("keys without quotes", AIMessage('{action: "guide", text: "Hash the password before it is stored."}'), R, ""),
    (
        "single quotes",
        AIMessage("{'action': 'guide', 'text': 'Hash the password before it is stored.', 'to': None}"),
        R,
        "",
    ),
    ("broken arguments", broken('{"action": "guide", "text": "Hash the password before it is stored.",}'), R, ""),
    ("twice encoded", AIMessage(json.dumps(RJ)), R, ""),
    (
        "a function object",
        AIMessage(json.dumps({"type": "function", "function": {"name": "answer_review", "arguments": RJ}})),
        R,
        "",
    ),
    (
        "a list of calls",
        AIMessage(
            json.dumps({"tool_calls": [{"id": "1", "type": "function", "function": {"name": "r", "arguments": RJ}}]})
        ),
        R,
        "",
    ),
    ("no comma", AIMessage('{"action": "guide"\n "text": "Hash the password before it is stored."}'), R, ""),
    ("another action", called({**R, "action": "retry"}), R, "action: Input should be 'guide'"),
    ("no text", called(without(R, "text")), R, "text is missing"),
    ("two actions", called({**R, "action": "guide | escalate"}), R, "not guide | escalate"),
    ("two answers", AIMessage(f"First: {RJ}. No, rather: {json.dumps(UP)}"), UP, "2 different answers"),
    ("two calls", called(R, UP), R, "2 different answers"),
    ("another name for to", called({**without(TO, "to"), "assign_to": "database-optimizer"}), TO, "'assign_to'"),
    ("a key twice", called({**R, "Action": "escalate"}), R, "action is given twice"),
    ("YAML", AIMessage("action: guide\ntext: Hash the password before it is stored."), R, "no whole JSON object"),
]

G: Json = {"can_help": True, "guidance": "Add a partial index."}
ADVICE = [
    ("a fence", AIMessage(f"Of course!\n{fenced(G)}"), G, ""),
    ("yes", called({**G, "can_help": "yes"}), G, ""),
    ("true in quotes", AIMessage('{"can_help": "True", "guidance": "Add a partial index."}'), G, ""),
    ("sources beside", called({**G, "sources": ["db/schema.sql:4"]}), G, ""),
    (
        "steps",
        called({**G, "guidance": ["Add a partial index.", "Measure."]}),
        {**G, "guidance": "Add a partial index.\nMeasure."},
        "",
    ),
    ("an outer key", AIMessage(json.dumps({"answer": G})), G, ""),
    ("null for no guidance", called({"can_help": False, "guidance": None}), {"can_help": False}, ""),
    ("prose", AIMessage("1. Add a partial index.\n2. Measure."), G, "no whole JSON object"),
    ("help or not is not said", called({"guidance": "Add a partial index."}), G, "can_help is missing"),
    ("maybe", called({**G, "can_help": "maybe"}), G, "can_help: Input should be a valid boolean"),
    (
        "tags",
        AIMessage("<function=answer_consultation><parameter=can_help>true</parameter></function>"),
        G,
        "no whole JSON object",
    ),
]

N: Json = {"tasks": [T1], "declined": ""}
NEEDS = [
    ("one task without a list", called({"tasks": T1, "declined": ""}), N, ""),
    ("the bare list", AIMessage(fenced([T1])), N, ""),
    ("none", called({"tasks": "none", "declined": "Not needed."}), {"tasks": [], "declined": "Not needed."}, ""),
    (
        "reasons in a list",
        called({"tasks": None, "declined": ["Not needed.", "Too late."]}),
        {"declined": "Not needed.\nToo late."},
        "",
    ),
    ("short ids", called({"tasks": [{**T1, "id": "T-1"}], "declined": None}), N, ""),
    ("no objective", called({"tasks": [without(T1, "objective")]}), N, "tasks.0.objective is missing"),
]

_BY_KIND: list[tuple[Kind, list[tuple[str, AIMessage, Json, str]]]] = [
    ("analysis", ANALYSES),
    ("decomposition", DRAFTS),
    ("review", REVIEWS),
    ("consultation", ADVICE),
    ("needs", NEEDS),
]
CORPUS = [Sloppy(name, kind, reply, means, asked) for kind, rows in _BY_KIND for name, reply, means, asked in rows]
