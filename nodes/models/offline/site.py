"""Where in a repository the work for an objective is done, and whose stack that is."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from backend_coordinator.domain.objective import RepositoryFacts, Stack
from backend_coordinator.nodes.frameworks import GENERALIST, INTERFACES
from backend_coordinator.nodes.models.offline.vocabulary import words
from backend_coordinator.nodes.stack import expert_for

_CODE = {
    "Python": ("**/*.py",),
    "JavaScript": ("**/*.js", "**/*.ts"),
    "TypeScript": ("**/*.ts", "**/*.js"),
    "Java": ("**/*.java",),
    "Go": ("**/*.go",),
}
_AREA = {
    "Python": ("app/{}/**", "tests/{}/**"),
    "Java": ("src/main/java/**/{}/**", "src/test/java/**/{}/**"),
    "Go": ("internal/{}/**",),
}
_PAGES = INTERFACES.keys() | words("next nuxt remix sveltekit tanstack-start")
"""Frameworks of what people see, which serves nothing unless another stands beside them."""
_EVERYDAY = words(
    "bottle chi echo express falcon fiber gin go gorilla hono koa next pyramid rails react remix rocket rust slim "
    "solid spring tornado"
)
_TECHNICAL = (
    "(?:apis?|app(?:lication)?s?|backend|boot|code(?:base)?|controllers?|framework|handlers?|middleware|modules?|"
    "packages?|projects?|routers?|routes?|servers?|services?)"
)
_DJANGO, _OTHER = ("{}/**", "tests/{}/**"), ("src/{}/**", "test/{}/**")


@dataclass(frozen=True)
class Site:
    """One package or service, with the paths that its tasks write; `root` is empty for the top."""

    author: str
    root: str
    language: str
    frameworks: tuple[str, ...]
    contract: str
    migrations: str
    shared: tuple[str, ...]
    """Manifests and the modules that make the application."""

    def below(self, *globs: str) -> list[str]:
        """Globs of this package or service."""
        return [f"{self.root}/{glob}" if self.root else glob for glob in globs]

    @property
    def code(self) -> list[str]:
        """Where its code and tests lie, wherever that is."""
        return self.below(*_CODE.get(self.language, ("src/**", "tests/**")))

    def area(self, name: str) -> list[str]:
        """Where the code and the tests of an area go."""
        globs = _DJANGO if "django" in self.frameworks else _AREA.get(self.language, _OTHER)
        folder = re.sub(r"\W+", "_", name.lower()).strip("_")
        return self.below(*(glob.format(folder) for glob in globs))


def site_of(objective: str, facts: RepositoryFacts) -> Site:
    """The stack that the objective names by its folder or else its technology, else the first that serves."""
    serving = [each for each in facts.stacks if not each.frameworks or set(each.frameworks) - _PAGES]
    stack = _named(objective, (*serving, *facts.stacks)) or expert_for(
        facts.model_copy(update={"stacks": tuple(serving) or facts.stacks})
    )
    root = stack.root if stack else ""
    below = f"{root}/" if root else ""
    contracts, migrations, manifests, applications = (
        [path for path in paths if path.startswith(below)]
        for paths in (facts.contracts, facts.migrations, facts.manifests, facts.applications)
    )
    return Site(
        author=(stack.specialist if stack else None) or next(iter(facts.detected), GENERALIST),
        root=root,
        language=stack.language if stack else next(iter(facts.languages), "Python"),
        frameworks=stack.frameworks if stack else facts.frameworks,
        contract=next(iter(contracts), f"{below}openapi.yaml"),
        migrations=_migrations(below, stack, migrations),
        shared=(*manifests[:3], *applications[:1]),
    )


def _migrations(below: str, stack: Stack | None, there: Sequence[str]) -> str:
    """Where new migrations go: beside the first there is; Django keeps them in each of its applications."""
    if stack and "django" in stack.frameworks:
        return f"{below}**/migrations/**"
    folder = next((path.rpartition("/")[0] for path in there if "/" in path), f"{below}migrations")
    return f"{folder}/**"


def _named(objective: str, stacks: Sequence[Stack]) -> Stack | None:
    """The first stack whose folder the objective names, else the first whose framework or language it names."""
    folders = ((each, _says(objective, each.root.rpartition("/")[2])) for each in stacks)
    technologies = (
        (each, any(_says_technology(objective, name) for name in (*each.frameworks, each.language))) for each in stacks
    )
    return next((each for each, said in (*folders, *technologies) if said), None)


def _says(objective: str, name: str) -> bool:
    return bool(name) and re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", objective, re.I) is not None


def _says_technology(objective: str, name: str) -> bool:
    """Whether the objective speaks of a technology; a word of everyday use only as a name before a technical one."""
    if name.lower() not in _EVERYDAY:
        return _says(objective, name) or _says(objective, name.replace("-", " "))
    return re.search(rf"\b(?i:{name}\.?(?:js|lang))\b|\b{name.title()} (?i:{_TECHNICAL})\b", objective) is not None
