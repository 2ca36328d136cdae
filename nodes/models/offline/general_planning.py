"""How the offline model plans what it cannot write itself: one task for closed work, else tasks by area."""

import re
from collections.abc import Mapping, Sequence

from backend_coordinator.domain.objective import RepositoryFacts
from backend_coordinator.nodes.models.offline.areas import areas_of
from backend_coordinator.nodes.models.offline.site import Site, site_of
from backend_coordinator.nodes.models.offline.survey import survey

Draft = dict[str, object]

_ARCHITECT, _DATABASE = "backend-architect", "database-optimizer"
_CONTRACT = ("design_contract", "share_contract", "validate_contract")
_MIGRATION = (
    "design_migration", "rollback_script", "rehearsal", "deployment_handover", "rollout_plan", "monitoring",
)  # fmt: skip
_BARE = re.compile(
    r"cach|rate.limit|throttl|gateway|metric|tracing|logging|monitor|alert|dashboard|scal|failover|authenticat|authori[sz]",
    re.I,
)
"""Areas that keep no data of their own."""
_TARGET = re.compile(r"\d\s?(?:ms|milliseconds?|s|seconds?)\b|p9\d", re.I)
_ONLY_TESTS = re.compile(r"^(?:please )?(?:add|write|extend|cover)\b.*\btests?\b", re.I)
_ONLY_TEXT = re.compile(r"^(?:please )?(?:document|describe)\b|\b(?:readme|docstrings?|changelog)\b", re.I)
_ONLY_STORED = re.compile(r"\b(?:index|indexes|indices|constraint|partition\w*|materiali[sz]ed view)\b", re.I)
_IN_CODE = re.compile(r"\b(?:column|field|endpoint|model|code|backfill|use|return|show)\w*\b", re.I)
_SETTING = re.compile(r"\b(?:config\w*|settings?|environment|env|flags?|dependency|dependencies|version)\b", re.I)


def analysis_by_rules(objective: str) -> Mapping[str, list[str]]:
    """The seven questions for any objective; what follows for a large one by convention is marked as assumed."""
    found, areas = survey(objective), areas_of(objective)
    if not areas:
        return found
    kept = [area for area in areas if not _BARE.search(area)]
    speed = found.get("performance_requirements", [])
    told = any(_TARGET.search(text) for text in speed)
    return {
        "endpoints": [f"assumed: endpoints of {', '.join(areas)}"],
        **({"schema_changes": [f"assumed: tables of {', '.join(kept)}"]} if kept else {}),
        **found,
        "performance_requirements": speed if told else [*speed, "assumed: p95 of each endpoint under 200 ms"],
    }


def draft_by_rules(
    objective: str, facts: RepositoryFacts, answers: Mapping[str, str], areas: Sequence[str]
) -> list[Draft]:
    """Tasks for any objective, by area or, without areas, in one go; they cover every answer of its analysis."""
    site, sheet = site_of(objective, facts), _Sheet(objective, answers)
    if areas:
        _by_area(sheet, site, areas)
    else:
        _closed(sheet, site)
    return sheet.tasks


class _Sheet:
    """The tasks drafted so far."""

    def __init__(self, objective: str, answers: Mapping[str, str]) -> None:
        self.objective, self.answers = objective, answers
        self.tasks: list[Draft] = []

    def about(self, *kinds: str) -> list[str]:
        """Ids of the answers to these questions."""
        return [name for name in self.answers if name.rpartition("-")[0] in kinds]

    def add(self, title: str, specialist: str, steps: Sequence[str], **more: object) -> str:
        """One more task; its id."""
        name = f"backend-T{len(self.tasks) + 1:03d}"
        told = f"{more.pop('told', title)}. For the objective: {self.objective}"
        task = {"id": name, "title": title, "objective": told, "specialist": specialist, "steps": list(steps)}
        self.tasks.append({**task, **more})
        return name

    def review(self, subject: str, needs: Sequence[str]) -> None:
        """The security review of what was changed."""
        self.add(
            f"Review the security of {subject}", _ARCHITECT, ("security_review",), needs=needs, effort="quick",
            covers=self.about("auth"), writes=["docs/security.md"], expected_output=["docs/security.md"],
            acceptance_criteria=["docs/security.md names what protects each change and what does not"],
        )  # fmt: skip


def _closed(sheet: _Sheet, site: Site) -> None:
    """One task with its design inside; what changes contract, schema or access is reviewed."""
    told, contract, schema = sheet.objective, sheet.about("endpoint"), sheet.about("schema")
    stored = bool(schema and not contract and _ONLY_STORED.search(told) and not _IN_CODE.search(told))
    text = bool(_ONLY_TEXT.search(told))
    work = ("write_tests",) if _ONLY_TESTS.search(told) else ("document",) if text else ("write_code", "write_tests")
    measured = any(_TARGET.search(sheet.answers[name]) for name in sheet.about("performance"))
    steps = [
        *(_CONTRACT if contract else ()), *(_MIGRATION if schema else ()), *(() if stored else work),
        *(("performance_test",) if measured else ()),
    ]  # fmt: skip
    writes = [
        *([] if stored else ["README.md", "docs/**"] if text else site.code),
        *([site.contract] if contract else []), *([site.migrations] if schema else []),
        *(site.shared if _SETTING.search(told) else ()),
    ]  # fmt: skip
    said = " ".join(told.split())
    done = [*sheet.answers.values()] or [said[:200] or "what was asked"]
    task = sheet.add(
        said[:80] or "The objective", _DATABASE if stored else site.author, steps, told="All of it, in one go",
        covers=[*sheet.answers], writes=writes,
        acceptance_criteria=[*done, "the tests pass"], expected_output=["the change with its tests"],
        effort="quick" if len(sheet.answers) < 3 else "medium",
    )  # fmt: skip
    if contract or schema or sheet.about("auth"):
        sheet.review("the change", [task])


def _by_area(sheet: _Sheet, site: Site, areas: Sequence[str]) -> None:
    """Designs first, then the areas at once, then what joins them, then measurement and review."""
    names = ", ".join(areas)
    designs = _designs(sheet, site, names)
    left = sheet.about("auth", "integration", "monitoring", "scalability")
    code = []
    for area in areas:
        own = (
            [name for name in left if re.search(rf"\b{re.escape(area)}\b", sheet.answers[name], re.I)]
            if len(areas) > 1
            else left
        )
        left = [name for name in left if name not in own]
        code.append(sheet.add(
            f"Implement {area}", site.author, ("write_code", "write_tests"), needs=designs, covers=own,
            writes=site.area(area), service=re.sub(r"\W+", "-", area.lower()).strip("-"),
            acceptance_criteria=[f"{area}: every operation answers as the contract says", "the tests pass"],
            expected_output=[f"{area} with its tests"],
        ))  # fmt: skip
    if len(code) > 1:
        code = [sheet.add(
            f"Join {names}", site.author, ("write_code", "write_tests", "integration_test", "document"), needs=code,
            covers=left, writes=[*site.shared, *site.below("tests/integration/**"), "README.md"],
            acceptance_criteria=["what crosses the areas works, in one test each", "the tests pass"],
            expected_output=["the areas working together", "integration tests"],
        )]  # fmt: skip
    sheet.add(
        f"Measure {names}", _ARCHITECT, ("performance_test", "write_tests"), needs=code, effort="quick",
        covers=sheet.about("performance", "scalability"), writes=[*site.below("tests/load/**"), "docs/performance.md"],
        acceptance_criteria=["docs/performance.md tells the measured figures with their targets"],
        expected_output=["a load test", "docs/performance.md"],
    )  # fmt: skip
    sheet.review(names, code)


def _designs(sheet: _Sheet, site: Site, names: str) -> list[str]:
    """The contract and the schema, which wait for nothing."""
    graphql = re.search(r"\bgraphql\b", sheet.objective, re.I)
    contract = site.below("schema.graphql")[0] if graphql else site.contract
    made = [sheet.add(
        f"Design the API contract of {names}", "graphql-architect" if graphql else "api-architect", _CONTRACT,
        covers=sheet.about("endpoint"), writes=[contract], expected_output=[contract], priority="high",
        acceptance_criteria=["the contract is valid and names every operation with its errors"],
    )]  # fmt: skip
    if tables := sheet.about("schema"):
        made.append(sheet.add(
            f"Design the schema of {names}", _DATABASE, _MIGRATION, covers=tables, priority="high",
            writes=[site.migrations, "docs/schema.md"], expected_output=["migrations with rollback", "docs/schema.md"],
            acceptance_criteria=["each migration goes up, down and up again with equal schemas"],
        ))  # fmt: skip
    return made
