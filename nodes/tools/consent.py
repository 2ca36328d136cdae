"""From a ruling to the deed: what is allowed goes on, what is denied ends, and a person is asked about the rest."""

import re
from typing import Literal

from backend_coordinator.domain.events import Noticed
from backend_coordinator.nodes.permissions.added import add, with_added
from backend_coordinator.nodes.permissions.bash import judge_bash
from backend_coordinator.nodes.permissions.rules import Rules, Ruling, most_specific
from backend_coordinator.nodes.permissions.shell import NotRecognised, recognise
from backend_coordinator.nodes.permissions.urls import judge_url
from backend_coordinator.nodes.tools.bench import Bench, ToolRefused
from backend_coordinator.nodes.tools.paths import matches

Kind = Literal["bash", "read", "edit", "webfetch"]


def rules_of(bench: Bench, kind: Kind) -> Rules:
    """The rules for one kind of call: what the specialist's file has, and what people added; its denials stay."""
    own = dict(dict(bench.specialist.permission).get(kind, ()))
    return with_added(own, bench.context.repository.user.root, bench.specialist.name, kind)


def permit(bench: Bench, kind: Kind, subject: str, ruling: Ruling) -> None:
    """Returns where `subject` (a bash line, a path, a URL) may go ahead.

    Whoever is asked sees all of it, every letter beyond ASCII escaped, with the reason. Raises ToolRefused where it
    may not go ahead, NeedsConsent while a person is asked.
    """
    if ruling.decision == "deny":
        raise ToolRefused(f"denied: {ruling.reason}")
    if ruling.decision == "allow":
        return
    rule = _exactly(kind, subject, rules_of(bench, kind))
    offer = "" if rule is None else f"\napprove_rule without a text adds the rule {rule!a}"
    request = f"{kind} {subject!a}? ({ruling.reason}){offer}"
    answer = bench.consent(request, "approve_run", *(("approve_rule",) if rule else ()))
    if answer.decision == "approve_rule":
        _add(bench, kind, answer.text.strip() or rule or subject, subject)
    elif answer.decision not in ("approve", "approve_run"):
        raise ToolRefused(f"not permitted: {ruling.reason}. {answer.text}".strip())


def _exactly(kind: Kind, subject: str, rules: Rules) -> str | None:
    """The rule that allows `subject` and nothing else; None where no rule can."""
    if kind != "bash":
        return _literal(subject)
    if judge_bash(subject, rules).decision == "allow":
        return None  # it is asked for another reason
    rule = " ".join(map(_literal, _words(subject)))
    return rule if rule and judge_bash(subject, {**rules, rule: "allow"}).decision == "allow" else None


def _words(line: str) -> tuple[str, ...]:
    """The words of a line that is one command; else none."""
    try:
        commands = recognise(line)
    except NotRecognised:
        return ()
    return commands[0].words if len(commands) == 1 else ()


def _literal(word: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", word)


def _fits(kind: Kind, subject: str, rule: str) -> bool:
    if kind == "bash":
        return most_specific(_words(subject) or subject.split(), {rule: "allow"}) is not None
    if kind == "webfetch":
        return judge_url(subject, {rule: "allow"}).decision == "allow"
    return matches(subject, rule)


def _add(bench: Bench, kind: Kind, rule: str, subject: str) -> None:
    """Keeps a rule for this and later runs."""
    if not _fits(kind, subject, rule):
        text = f"the rule {rule!a} does not fit what was asked, {subject!a}: it was kept, and this call approved"
        bench.context.ledger.record(Noticed(text=bench.context.redact(text)))
    add(bench.context.repository.user.root, bench.specialist.name, kind, rule)
