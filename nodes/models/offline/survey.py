"""The seven questions answered by rules for any backend objective: in its own words, and nothing it does not say."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from backend_coordinator.nodes.access import ACCESS
from backend_coordinator.nodes.models.offline.vocabulary import words

VERBS = (
    "add|adds|allow|bring|build|bump|cache|change|check|correct|count|cover|create|deduplicate|deliver|deprecate|describe|"
    "design|develop|disable|document|drop|emit|enable|encrypt|enforce|ensure|expose|extend|extract|fix|handle|hash|"
    "implement|import|export|improve|include|increase|integrate|introduce|invalidate|let|limit|list|log|lower|make|"
    "measure|migrate|mask|move|normalise|normalize|notify|optimise|optimize|paginate|protect|provide|publish|raise|"
    "rebuild|record|redesign|reduce|refactor|refuse|reject|remove|rename|repair|replace|report|require|resolve|"
    "restrict|retry|return|rework|rewrite|round|secure|send|serve|set|show|sign|sort|speed|split|store|support|switch|"
    "sync|test|throttle|trace|track|trim|turn|update|upgrade|use|validate|verify|write"
)
_START = rf"(?:{VERBS}|get|post|put|patch|delete|an?|the|one|only|each|every|all|its|per)\b"
_SENTENCE = re.compile(r"[;\n]+|[.!?:](?=\s|$)|\s[\u2013\u2014-]\s")
_BREAK = re.compile(rf",?\s+(?:and|then)\s+(?={_START})|,\s*(?={_START})|\s+(?:as well as|along with)\s+", re.I)
_LISTED = re.compile(
    r"\s+(?:with|including|covering|comprising|consisting of|plus|(?:that|which) "
    r"(?:covers?|has|have|handles?|includes?|supports?|offers?|manages?))\s+"
    r"(?!the\b|an?\s\w+\s(?:in|of|on)\b)",
    re.I,
)
_MOST, _LONGEST = 6, 160
"""Answers to one question, and characters of one."""

_PATH = r"(?<![\w.])/(?:[\w{}:.-]+/?)+"
_TYPE = "(?:bigint|bool(?:ean)?|date|decimal|double|enum|float|int(?:eger)?|numeric|string|text|timestamp|uuid|varchar)"
_KINDS = {
    "endpoints": rf"""\b(?:endpoints? | routes? | resolvers? | mutations? | graphql | grpc | openapi | swagger | crud
        | rest | (?<!'s\ )apis?(?!\ keys?) | query\ parameters? | response\ (?:body|field|header)s?)\b
        | \b(?:get|post|put|patch|delete)\ {_PATH} | {_PATH}""",
    "schema_changes": rf"""\b(?:columns? | tables? | index | indexes | indices | schemas? | foreign\ keys? | nullable
        | unique\ constraints? | migrations? | soft[- ]delet\w+ | not\ null | primary\ keys? | partition\w*
        | materiali[sz]ed\ views? | [a-z_]+\.[a-z_]+\ (?:is|are)\ missing | (?:make|be)\ (?:[\w.]+\ ){{1,5}}unique
        | (?:change|convert)\b.{{0,200}}\btype\ of | from\ (?:an?\ )?{_TYPE}\ to\ (?:an?\ )?{_TYPE}
        | (?:add|change|delete|drop|extend|give|introduce|move|put|remove|rename)\ (?:[\w`'.-]+\ ){{0,6}}
            (?:fields?|attributes?|(?<!response\ )(?<!request\ )models?)\b(?!.{{0,200}}\b(?:body|code|config\w*|endpoint
                |form|headers?|json|logs?|payload|query|requests?|responses?|settings?)))\b
        | (?:^|\b(?:and|must|should|to|we)\ )(?:persist|remember|store)\ (?!.{{0,200}}\b(?:in|into|on|to)\ (?:\w+\ )?
            (?:bucket|cache
                |cookies?|disk|environment|files?|folder|memcached|memory|redis|s3|settings?)\b)[\w'-]+\ \w""",
    "auth_requirements": ACCESS.pattern,
    "performance_requirements": r"""\b(?:slow\w* | fast(?:er)? | p9[059] | p50 | latency | latencies | n\s?\+\s?1
        | performance | speed\ up | throughput | optimi[sz]\w+ | cach(?:e|es|ed|ing) | \d+\s?(?:ms|milliseconds?)
        | response\ times? | full\ table\ scans? | takes?\ (?:\w+\ ){0,2}seconds? | under\ \d+\ seconds?)\b""",
    "scalability_constraints": r"""\b(?:scal\w+ | millions? | billions? | thousands? | concurrent\w* | shard\w*
        | failover | replicas? | horizontal\w* | rate[- ]limit\w* | per\ (?:second|minute) | high\ availability
        | load\ balanc\w+ | back-?pressure)\b""",
    "third_party_integrations": r"""\b(?:stripe | paypal | adyen | braintree | twilio | sendgrid | mailgun | mailchimp
        | ses | sns | sqs | s3 | aws | gcs | azure | slack | github | google | auth0 | okta | keycloak | salesforce
        | hubspot | shopify | elasticsearch | opensearch | algolia | kafka | rabbitmq | firebase | fcm | apns | datadog
        | sentry | webhooks? | third[- ]part(?:y|ies) | external | outside | sms | notifications? | smtp | ldap
        | carriers? | providers? | payments?(?!\ (?:table|column|endpoint|model|status))
        | (?:sends?|sending|deliver|by|via|confirmation|reminder|welcome|dunning|digest)\ (?:[\w-]+\ ){0,2}
            e-?mails?)\b""",
    "monitoring_needs": r"""\b(?:monitor\w* | metrics? | tracing | traces? | opentelemetry | prometheus | grafana
        | logged | logging | logs?(?!\ (?:in|out)\b) | audit\ (?:logs?|trails?) | auditing | alerts? | alerting
        | dashboards? | health[- ]?checks? | (?:request|correlation)\ ids? | sentry | datadog)\b""",
}
_FINDS = {name: re.compile(pattern, re.I | re.VERBOSE) for name, pattern in _KINDS.items()}
_KEEPS = {
    re.compile(r"(?:fix|correct|repair|resolve|refactor)\b", re.I): words("endpoints schema_changes"),
    re.compile(
        r"(?:test|cover|document|describe|log|count|measure|monitor|trace|record|track|(?:add|write)\b.*\btests?)\b",
        re.I,
    ): words("endpoints schema_changes auth_requirements third_party_integrations"),
}
"""What demands that begin so leave as it is, although they may name it."""


@dataclass(frozen=True)
class Part:
    """A stretch of an objective that stands for itself; `listed` where it is one of several named after `with`."""

    text: str
    listed: bool = False


def parts_of(objective: str) -> tuple[Part, ...]:
    """An objective cut at sentences, lists and new verbs, in its order."""
    objective = re.sub(rf"\b(?:{VERBS}) and (?=(?:{VERBS})\b)", "", objective, flags=re.I)
    return tuple(part for sentence in _SENTENCE.split(objective) for part in _parts(sentence.strip()))


def items_of(text: str) -> list[str]:
    """The members of a list in words: `roles, invitations and audit log`."""
    return [item.strip() for item in re.split(r",\s*(?:and\s+)?|\s+(?:and|plus)\s+", text) if item.strip()]


def survey(objective: str) -> dict[str, list[str]]:
    """The seven questions: for each the parts of the objective that speak of it, in its words."""
    found: dict[str, list[str]] = {}
    kept: frozenset[str] = frozenset()
    for part in parts_of(objective):
        if re.match(rf"(?:{VERBS})\b", part.text, re.I):
            kept = frozenset().union(*(names for begins, names in _KEEPS.items() if begins.match(part.text)))
        for name, pattern in _FINDS.items():
            if pattern.search(part.text) and name not in kept:
                found.setdefault(name, []).append(part.text[:_LONGEST])
    return {name: list(dict.fromkeys(found[name]))[:_MOST] for name in _FINDS if name in found}


def _parts(sentence: str) -> Iterator[Part]:
    head, *rest = _LISTED.split(sentence, maxsplit=1)
    if rest and "," in head and not re.match(rf"(?:{VERBS})\b", head, re.I):
        head, rest = "", [sentence]
    pieces = [piece for piece in _BREAK.split(head) if piece and piece.strip()]
    yield from (Part(piece.strip()) for piece in pieces)
    for text in rest:
        yield from (Part(item, listed=True) for item in items_of(text))
