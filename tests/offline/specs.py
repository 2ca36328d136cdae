"""Random specifications, and a written service on disk with its own checks."""

import random
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from backend_coordinator.nodes.models.offline.delivery import Step, deliver
from backend_coordinator.nodes.models.offline.kinds import KINDS
from backend_coordinator.nodes.models.offline.model import Field, Resource, ServiceSpec
from backend_coordinator.nodes.models.offline.words import plural_of

NOUNS = [
    "author",
    "order",
    "category",
    "box",
    "person",
    "series",
    "error",
    "blog_post",
    "group",
    "schema_field",
]
NOUNS += ["api"]
NAMES = ["title", "class", "from", "schema", "json", "copy", "model_config", "order", "int", "uuid", "value"]
NAMES += ["items"]
NAMES += ["date", "total", "limit", "body", "select", "register", "a" * 32, "index", "is_open"]
NAMES += ["response", "literal"]
STEPS: tuple[Step, ...] = ("contract", "schema", "implementation", "review")


def random_field(name: str, rng: random.Random) -> Field:
    kind = rng.choice([kind for kind in KINDS if kind != "reference"])
    low, high = sorted((rng.randint(-500, 500), rng.randint(501, 5000)))
    choices = tuple(rng.sample(["open", "paid", "in progress", "x" * 40, "z9"], 3))
    bounded = kind in ("integer", "number", "decimal")
    return Field(
        name,
        kind,
        required=rng.random() < 0.7,
        unique=kind not in ("boolean", "choice") and rng.random() < 0.25,
        minimum=low if bounded and rng.random() < 0.5 else None,
        maximum=high if bounded and rng.random() < 0.5 else None,
        maximum_length=rng.choice([None, 1, 3, 40, 600]) if kind in ("string", "text") else None,
        choices=choices if kind == "choice" else (),
    )


def random_spec(seed: int, nouns: list[str] = NOUNS) -> ServiceSpec:
    """One to three resources with every kind of field and relations, also optional ones to themselves."""
    rng = random.Random(seed)
    resources: list[Resource] = []
    for noun in rng.sample(nouns, rng.randint(1, min(3, len(nouns)))):
        fields = [random_field(name, rng) for name in rng.sample(NAMES, rng.randint(1, 6))]
        fields = [Field(f.name, f.type) if f.maximum_length == 1 and f.unique else f for f in fields]
        for parent in resources:
            if rng.random() < 0.6:
                fields.append(Field(parent.singular, required=rng.random() < 0.7).referring(parent.plural))
        if rng.random() < 0.2:
            fields.append(Field(f"parent_{noun}", required=False).referring(plural_of(noun)))
        resources.append(Resource(noun, plural_of(noun), tuple(fields)))
    return ServiceSpec(tuple(resources))


def written(spec: ServiceSpec, files: Mapping[str, str] | None = None) -> dict[str, str]:
    """A repository after the four steps."""
    repository = dict(files or {})
    for step in STEPS:
        repository |= deliver(step, spec, repository)
    return repository


def on_disk(files: Mapping[str, str], folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A Python module run in the folder, without the plug-ins of this project's own tests."""
    return subprocess.run(
        [sys.executable, "-B", "-m", *command],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def problems(folder: Path) -> str:
    """What the service's own checks complain about; nothing when all pass."""
    for command in (
        ("ruff", "check", "--no-cache", "."),
        ("ruff", "format", "--diff", "--no-cache", "."),
        ("coverage", "run", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"),
        ("coverage", "report", "--fail-under=95", "--skip-covered", "--show-missing"),
        ("openapi_spec_validator", "openapi.yaml"),
    ):
        done = run(folder, *command)
        if done.returncode:
            return f"{command}\n{done.stdout[-4000:]}{done.stderr[-2000:]}"
    return ""
