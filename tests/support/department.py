"""Scripts for whole runs: plans whose tasks write text files, and answers that depend on what was asked only."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from backend_coordinator.domain.plan import Plan, Task
from backend_coordinator.testing import Script, calls


@dataclass(frozen=True)
class Told:
    """What a model is shown; `turn` counts its own messages so far."""

    messages: Sequence[BaseMessage]

    @property
    def turn(self) -> int:
        return sum(isinstance(message, AIMessage) for message in self.messages)

    @property
    def text(self) -> str:
        """The first human message: the packet with its guidance, or the coordinator's question."""
        return next(str(message.text) for message in self.messages if isinstance(message, HumanMessage))

    @property
    def task(self) -> str:
        found = re.search(r"backend-T\d{3}", self.text)
        assert found is not None
        return found[0]

    @property
    def specialist(self) -> str:
        return self.text.partition("DELEGATION TO: @")[2].partition("\n")[0]

    @property
    def results(self) -> list[str]:
        return [str(message.text) for message in self.messages if isinstance(message, ToolMessage)]

    def calls(self, name: str, **arguments: object) -> AIMessage:
        """An answer of one call."""
        return calls((name, arguments), turn=self.turn)


Work = Callable[[Told], AIMessage]
Judgement = Callable[[Told], Mapping[str, object]]


def task(number: int, *, needs: Sequence[int] = (), **changes: object) -> Task:
    """Task N, by python-pro, which writes fN.txt."""
    values: dict[str, object] = {
        "id": f"backend-T{number:03d}",
        "title": f"Task {number}",
        "objective": f"write f{number}.txt",
        "specialist": "python-pro",
        "needs": tuple(f"backend-T{need:03d}" for need in needs),
        "writes": (f"f{number}.txt",),
        **changes,
    }
    return Task.model_validate(values)


def plan(*tasks: Task) -> Plan:
    """A plan of these tasks."""
    return Plan(tasks=tasks)


def write_own_file(told: Told) -> AIMessage:
    """Writes the file of the task, then submits."""
    number = int(told.task[-3:])
    if told.turn == 0:
        return told.calls("write", path=f"f{number}.txt", content=f"hello {number}\n")
    return told.calls("submit", summary=f"wrote f{number}.txt")


def refuse(told: Told) -> AIMessage:
    """Hands the task back."""
    return told.calls("submit", summary="nothing", refusal="this is not mine to do")


def metered(answer: AIMessage) -> AIMessage:
    """The answer as a provider that counts sends it: 100 tokens in, 40 of them cached, 10 out."""
    counts = {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110, "input_token_details": {"cache_read": 40}}
    return AIMessage.model_validate({**answer.model_dump(), "usage_metadata": counts})


def department(made: Plan, work: Work = write_own_file, **judgements: Judgement) -> Script:
    """A script for a whole run; `review`, `consultation` and `needs` say what the coordinator and peers answer."""
    answers: dict[str, Judgement] = {
        "analysis": lambda told: {},
        "decomposition": lambda told: {"tasks": [each.model_dump(mode="json") for each in made.tasks]},
        "review": lambda told: {"action": "escalate", "text": "this needs a person"},
        "consultation": lambda told: {"can_help": False, "guidance": "not my field"},
        **judgements,
    }

    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        told = Told(messages)
        if not tools:
            return AIMessage("ready")  # to the question whether it can be used
        if "submit" in tools:
            return work(told)
        (name,) = tools
        return told.calls(name, **answers[name.removeprefix("answer_")](told))

    return script
