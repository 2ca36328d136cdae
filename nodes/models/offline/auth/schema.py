"""The migrations of the tables and their record."""

import re

from backend_coordinator.nodes.models.offline.auth.place import Files, Place
from backend_coordinator.nodes.models.offline.templates import template

_TABLE = re.compile(r'(?im)^\s*CREATE TABLE (?:IF NOT EXISTS )?["`\[]?(\w+)')


def schema(place: Place, files: Files) -> dict[str, str]:
    """The scripts, and docs/schema.md with a section about the tables.

    Raises ValueError when a migration of the repository already makes a table of such a name, or when the folder has
    migrations that are not for the runner of ours.
    """
    up = template("auth/schema/up")
    own = next((path for path in files if files[path] == up and path.endswith("_auth.up.sql")), "")
    theirs = {table for path in files if path.endswith(".up.sql") and path != own for table in _tables(files[path])}
    if taken := sorted(theirs & set(_tables(up))):
        msg = f"The repository already has a table {taken[0]}: rename it, or keep the accounts in another repository."
        raise ValueError(msg)
    folder = f"{place.migrations}/"
    if strange := next((path for path in sorted(files) if path.startswith(folder) and not own), None):
        msg = f"{strange} belongs to another tool than the one that applies {folder}: move it to a folder of its own."
        raise ValueError(msg)
    stem = own.removesuffix(".up.sql") or f"{folder}0001_auth"
    path = "docs/schema.md"
    text = files.get(path, "# Schema\n")
    section = place.filled(template("auth/docs/schema")).replace("SCRIPT", stem)
    document = text if "\n## Authentication\n" in text else f"{text.rstrip()}\n\n{section}"
    return {f"{stem}.up.sql": up, f"{stem}.down.sql": template("auth/schema/down"), path: document}


def _tables(text: str) -> list[str]:
    return [str(name).lower() for name in _TABLE.findall(text)]
