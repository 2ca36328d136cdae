"""Checks of documentation."""

import ast
import re
from collections.abc import Iterable, Iterator, Sequence

from backend_coordinator.domain.verdict import Finding, Verdict
from backend_coordinator.nodes.gates.application import Application, application_of
from backend_coordinator.nodes.gates.evidence import fails, introduced, not_applicable, passes, read_evidence, unknown
from backend_coordinator.nodes.gates.files import is_code, is_test, product_python, serves
from backend_coordinator.nodes.gates.openapi import Document, ForeignReference, Operation, contracts
from backend_coordinator.nodes.gates.registry import check
from backend_coordinator.nodes.gates.schema import Schema, foreign_migration, schema_of
from backend_coordinator.nodes.gates.source import modules_of
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.trees import Tree


@check("O1")
async def contract_is_valid_and_complete(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """The contract is valid OpenAPI 3 and names every operation the application has.

    Callers build on the contract, so a route it does not name is undocumented; a route that it promises may
    still be to come. Source: Documentation, API documented; API Contract Coordination.
    """
    documents = contracts(head)
    app = await application_of(head, environment)
    if not documents:
        return _without_contract(head, changed, app)
    try:
        findings = list(_invalid(documents))
        known = list(_invalid(contracts(base))) if base and findings else []
    except ForeignReference as error:
        return unknown("O1", f"the contract refers to {error}, and references to other files are not followed")
    validated = read_evidence(findings, f"{len(findings)} problems in the contract", tool="openapi-spec-validator")
    evidence = (validated, *app.evidence)
    if new := introduced(findings, known):
        return fails("O1", new, "correct the contract", *evidence)
    if app.problem:
        return unknown("O1", app.problem, *evidence)
    findings = list(_undocumented(documents, app))
    if findings and base:
        known = list(_undocumented(contracts(base), await application_of(base, environment)))
        findings = list(introduced(findings, known))
    if findings:
        return fails("O1", findings, "add the operation to the contract", *evidence)
    return passes("O1", f"{documents[0].path} is valid and names every operation of the application", *evidence)


@check("O1", stage="acceptance")
async def contract_equals_routes(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """Contract and application agree in operations, parameters (name, place, required) and status codes.

    A client written from the contract must work against the service. Source: Documentation, API documented;
    API Contract Coordination.
    """
    documents = contracts(head)
    if not documents:
        return not_applicable("O1", "there is no contract to compare with")
    app = await application_of(head, environment)
    if app.problem:
        return unknown("O1", app.problem)
    if app.document is None:
        if any(is_code(head, path) and not is_test(path) for path in head.files):
            return unknown("O1", "no FastAPI application was found to compare the contract with")
        return not_applicable("O1", "there is no application yet")
    findings = list(_differences(documents, app.document))
    if findings and base:
        before = await application_of(base, environment)
        known = list(_differences(contracts(base), before.document)) if before.document else []
        findings = list(introduced(findings, known))
    if findings:
        return fails("O1", findings, "make the contract and the routes agree", *app.evidence)
    return passes("O1", "contract and routes agree", *app.evidence)


def _without_contract(head: Tree, changed: frozenset[str], app: Application) -> Verdict:
    if app.problem:
        return unknown("O1", app.problem)
    if app.document and app.served:
        return passes("O1", f"{app.path} serves the OpenAPI document generated from its routes", *app.evidence)
    if app.document:
        finding = Finding(path=app.path, message="the application has routes, no contract and no OpenAPI document")
        return fails("O1", [finding], "add openapi.yaml or serve openapi.json", *app.evidence)
    if not any(is_code(head, path) and not is_test(path) for path in changed & frozenset(head.files)):
        return not_applicable("O1", "there is no contract, and no code changed")
    if serves(head):
        return unknown("O1", "no contract and no FastAPI application were found: look at whether there is an API")
    return not_applicable("O1", "no file uses a web framework")


def _invalid(documents: Sequence[Document]) -> Iterator[Finding]:
    for document in documents:
        yield from (Finding(path=document.path, message=problem) for problem in document.problems())


def _by_key(documents: Iterable[Document]) -> dict[tuple[str, str], tuple[Document, Operation]]:
    return {o.key: (d, o) for d in documents for o in d.operations if o.method not in {"HEAD", "OPTIONS"}}


def _undocumented(documents: Sequence[Document], app: Application) -> Iterator[Finding]:
    named = _by_key(documents)
    for key, (document, operation) in _by_key([app.document] if app.document else []).items():
        if key not in named:
            yield Finding(path=document.path, message=f"{operation} is not in the contract")


def _differences(documents: Sequence[Document], routes: Document) -> Iterator[Finding]:
    promised, built = _by_key(documents), _by_key([routes])
    for key in sorted(promised.keys() | built.keys()):
        document, operation = promised.get(key) or built[key]
        if key not in built:
            yield Finding(path=document.path, message=f"{operation} has no route")
        elif key not in promised:
            yield Finding(path=document.path, message=f"{operation} is not in the contract")
        else:
            for difference in _between(operation, built[key][1]):
                yield Finding(path=document.path, message=f"{operation}: {difference}")


def _between(contract: Operation, route: Operation) -> Iterator[str]:
    wanted = {(p.name, p.place): p.required for p in contract.parameters}
    actual = {(p.name, p.place): p.required for p in route.parameters}
    for name, place in sorted(wanted.keys() | actual.keys()):
        if (name, place) not in actual:
            yield f"the route has no {place} parameter {name}"
        elif (name, place) not in wanted:
            yield f"the contract has no {place} parameter {name}"
        elif wanted[name, place] != actual[name, place]:
            yield f"{place} parameter {name} is required on one side only"
    if missing := sorted(contract.statuses - route.statuses):
        yield f"the route does not declare status {', '.join(missing)}"
    if extra := sorted(route.statuses - contract.statuses):
        yield f"the contract does not declare status {', '.join(extra)}"


@check("O3")
async def the_schema_is_documented(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """Every table and column the change adds is named in a document, or commented where it is made.

    A column `id` explains itself. Who reads data needs to know what it means. Source: Documentation, database
    schema documented.
    """
    schema = await schema_of(head, environment)
    if not changed.intersection(schema.sources):
        if path := foreign_migration(head, changed):
            return unknown("O3", f"{path} is a migration of a kind that cannot be run here: look at its tables")
        return not_applicable("O3", "the change touches no table")
    before = await schema_of(base, environment) if base else Schema()
    if problem := schema.problem or before.problem:
        return unknown("O3", problem, *schema.evidence)
    added = [(t, c.name) for t in schema.tables.values() for c in t.columns if (t.name, c.name) not in _columns(before)]
    if not added:
        return not_applicable("O3", "the change adds neither table nor column", *schema.evidence)
    documents = list(_schema_documents(head, schema))
    findings = []
    for table in dict.fromkeys(table for table, _ in added):
        about = [text for text in documents if _mentions(text, table.name)]
        names = [name for owner, name in added if owner is table and name != "id"]
        missing = [name for name in names if not any(_mentions(text, name) for text in about)]
        if not about:
            findings.append(Finding(path=table.path, message=f"no document names table {table.name}"))
        elif missing:
            message = f"no document of table {table.name} names {', '.join(missing)}"
            findings.append(Finding(path=table.path, message=message))
    if findings:
        return fails("O3", findings, "name it in docs/schema.md", *schema.evidence)
    return passes("O3", f"{len(added)} new columns are documented with their tables", *schema.evidence)


def _columns(schema: Schema) -> frozenset[tuple[str, str]]:
    return frozenset((table.name, column.name) for table in schema.tables.values() for column in table.columns)


def _mentions(text: str, name: str) -> bool:
    """Whether `text` has `name` as a word, or its parts as words."""
    return re.search(rf"(?i)(?<![^\W_]){'[ _-]?'.join(map(re.escape, name.split('_')))}(?![^\W_])", text) is not None


def _schema_documents(tree: Tree, schema: Schema) -> Iterator[str]:
    for path in tree.files:
        news = re.search(r"(?i)(?:^|/)(?:change(?:s|log)|history|news|release)[^/]*$", path)
        if path.lower().endswith((".md", ".rst", ".adoc")) and not news and not is_test(path):
            yield tree.read(path) or ""
    models = [p for p in product_python(tree, frozenset(tree.files)) if "__tablename__" in (tree.read(p) or "")]
    for path in dict.fromkeys((*schema.sources, *models)):
        text = tree.read(path) or ""
        if told := "\n".join((*_sql_remarks(text), *_python_remarks(tree, path))):
            yield "\n".join([told, *(name for name in schema.tables if _mentions(text, name))])


def _sql_remarks(text: str) -> Iterator[str]:
    """Comments, with the column at the beginning of their line."""
    for line in text.splitlines():
        code, mark, remark = line.partition("--")
        if mark:
            yield f"{code.split()[0] if code.split() else ''} {remark}"
    yield from re.findall(r"(?is)/\*.*?\*/|\bCOMMENT\s+ON\b[^;]*", text)


def _python_remarks(tree: Tree, path: str) -> Iterator[str]:
    """Docstrings of models, and columns that are given a comment or doc."""
    modules = modules_of(tree, (path,)) if path.endswith(".py") else {}
    for node in (node for module in modules.values() for node in ast.walk(module)):
        if isinstance(node, ast.ClassDef):
            yield ast.get_docstring(node) or ""
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.Call):
            text = ast.unparse(node)
            column = re.match(r"(?:\w+\.)*Column\(" if isinstance(node, ast.Call) else r"\w+\s*[:=]", text)
            if column and re.search(r"\b(?:comment|doc|description)=['\"]", text):
                yield text[: text.find("," if isinstance(node, ast.Call) else "=")]
