"""The offline model: an honest rule-based chat model that works through the same tools as any other."""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from langchain_core.language_models import ModelProfile
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import tool_call

from backend_coordinator.domain.objective import RepositoryFacts
from backend_coordinator.nodes.models.offline import auth
from backend_coordinator.nodes.models.offline.auth_planning import part_of, place_in
from backend_coordinator.nodes.models.offline.delivery import Step, deliver, notes
from backend_coordinator.nodes.models.offline.planning import analysis_of, draft_of
from backend_coordinator.nodes.models.offline.understanding import understand, why_not
from backend_coordinator.nodes.models.rules import RuleModel

_SECTION = re.compile(r"^OBJECTIVE:\n(.*?)\n\n(?=[A-Z])", re.DOTALL | re.MULTILINE)
_STEPS: Mapping[str, Step] = {
    "design_contract": "contract",
    "design_migration": "schema",
    "write_code": "implementation",
    "security_review": "review",
}
_KINDS = {"contract": "api_contract", "schema": "database_schema"}
_OTHER_STACK = "it writes FastAPI services, and this repository holds another stack"
_FIGURE = re.compile(r"(\w+)=(\d+(?:\.\d+)?)")
_NUMBERED = re.compile(r"^\d+\t", re.MULTILINE)
_TEXT = (".py", ".toml", ".md", ".yaml", ".yml", ".sql", ".txt", ".cfg", ".ini", ".json", ".gitignore")

Calls = list[tuple[str, dict[str, object]]]


class OfflineModel(RuleModel):
    """Plans by rules and writes small FastAPI services for objectives it understands.

    It says what it cannot do, gives no advice and never judges. Equal conversations give equal answers.
    """

    @property
    def _llm_type(self) -> str:
        return "offline"

    def _resolve_model_profile(self) -> ModelProfile:
        """It has no window: it works from the whole text of every file it read."""
        return {"max_input_tokens": 1_000_000_000}

    def reply(self, messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        """The next step of the conversation, by the tools at hand."""
        calls = _work(messages) if "submit" in tools else _answer(tools, messages)
        turn = sum(isinstance(message, AIMessage) for message in messages)
        made = [tool_call(name=name, args=args, id=f"call-{turn}-{n}") for n, (name, args) in enumerate(calls)]
        text = "" if made else "I am the offline model: I work only through this product's tools."
        return AIMessage(text, tool_calls=made, response_metadata={"finish_reason": "stop"})


def _answer(names: Sequence[str], messages: Sequence[BaseMessage]) -> Calls:
    if not names:
        return []
    told = str(messages[-1].text)
    objective = _objective(told)
    answers: dict[str, Callable[[], Mapping[str, object]]] = {
        "answer_analysis": lambda: analysis_of(objective),
        "answer_decomposition": lambda: draft_of(objective, _facts(told)),
        "answer_review": lambda: {"action": "give_up", "text": "The offline model does not review work."},
        "answer_consultation": lambda: {"can_help": False, "guidance": "The offline model gives no advice."},
        "answer_needs": lambda: {"declined": "The offline model adds no tasks."},
    }
    return [(names[0], dict(answers[names[0]]()))] if names[0] in answers else []


def _work(messages: Sequence[BaseMessage]) -> Calls:
    packet = next(str(message.text) for message in messages if isinstance(message, HumanMessage))
    objective = _objective(packet).partition("For the objective: ")[2]
    try:
        if refused := _refused_twice(messages):
            raise ValueError(refused)
        return _next(_made(messages), _job_of(packet, objective))
    except ValueError as error:
        return _refusal(str(error))


class _Job(NamedTuple):
    """What one task writes, from the files there are and the figures its tests measured, and what it says of it."""

    write: Callable[[Mapping[str, str], Mapping[str, float]], Mapping[str, str]]
    told: Callable[[], tuple[str, Sequence[str]]]
    kind: str
    checks: bool


def _job_of(packet: str, objective: str) -> _Job:
    """Raises ValueError, with a sentence for the user, for work this model does not do."""
    if part := part_of(packet):
        place = place_in(packet)
        if place is None:
            raise ValueError(_OTHER_STACK)
        return _Job(
            lambda files, measured: auth.deliver(part, place, files, measured),
            lambda: auth.notes(part),
            _KINDS.get(part, "code_pattern"),
            part not in ("contract", "schema", "review"),
        )
    listed = packet.partition("\nSTEPS: ")[2].split("\n")[0]
    step = next((known for name, known in _STEPS.items() if name in listed), None)
    spec = understand(objective)
    if spec is None or step is None or (step != "implementation" and "write_code" in listed):
        raise ValueError(why_not(objective) if spec is None else _OTHER_STACK)
    return _Job(
        lambda files, _: deliver(step, spec, files),
        lambda: notes(step, spec),
        _KINDS.get(step, "code_pattern"),
        step == "implementation",
    )


def _refusal(reason: str) -> Calls:
    return [("submit", {"summary": "Nothing was done.", "refusal": f"the offline model cannot do this: {reason}"})]


def _next(made: Sequence[tuple[str, Mapping[str, Any], str]], job: _Job) -> Calls:
    used = [name for name, _, _ in made]
    if not used:
        return [("glob", {"pattern": "**"})]
    listed = [path for path in made[0][2].splitlines() if path.endswith(_TEXT)]
    if used[-1] == "glob" and listed:
        return [("read", {"path": path, "limit": 5000}) for path in listed]
    files = {
        args["path"]: _NUMBERED.sub("", text) + "\n"
        for name, args, text in made
        if name == "read" and _NUMBERED.match(text)
    }
    written = {args["path"]: args["content"] for name, args, _ in made if name == "write"}
    wanted = job.write(files, _measured(made))
    changed = {path: text for path, text in wanted.items() if {**files, **written}.get(path) != text}
    if changed:
        return [("write", {"path": path, "content": text}) for path, text in sorted(changed.items())]
    if job.checks and "check" not in used:
        added = sorted(path for path in written if path.endswith(".py") and path not in files)
        return [("check", {"fix": added})]
    summary, decisions = job.told()
    return [("submit", {"summary": summary, "decisions": [{"kind": job.kind, "text": text} for text in decisions]})]


def _measured(made: Sequence[tuple[str, Mapping[str, Any], str]]) -> Mapping[str, float]:
    """The figures that the project's tests recorded, as the last check told them."""
    told = next((text for name, _, text in reversed(made) if name == "check"), "")
    line = next((line for line in told.splitlines() if line.startswith("measured: ")), "")
    return {name: float(value) for name, value in _FIGURE.findall(line)}


def _made(messages: Sequence[BaseMessage]) -> list[tuple[str, Mapping[str, Any], str]]:
    results = {m.tool_call_id: m for m in messages if isinstance(m, ToolMessage) and m.status == "success"}
    calls = [call for message in messages if isinstance(message, AIMessage) for call in message.tool_calls]
    return [(c["name"], c["args"], str(results[c["id"]].text)) for c in calls if c["id"] in results]


def _refused_twice(messages: Sequence[BaseMessage]) -> str | None:
    """What a tool said again when the call was repeated: a third time would give no other answer."""
    told = Counter(str(m.text) for m in messages if isinstance(m, ToolMessage) and m.status == "error")
    return next((text for text, times in told.items() if times > 1), None)


def _objective(text: str) -> str:
    found = _SECTION.search(text)
    return found.group(1).strip() if found else ""


def _facts(text: str) -> RepositoryFacts:
    start = text.find("{", text.find("REPOSITORY:\n"))
    return RepositoryFacts.model_validate(json.JSONDecoder().raw_decode(text, start)[0])
