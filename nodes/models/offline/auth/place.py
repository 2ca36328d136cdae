"""Where an authentication service is written, and what every part of it is called."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from backend_coordinator.nodes.models.offline.repository import dotted

Part = Literal["contract", "schema", "endpoints", "oauth", "tokens", "accounts", "review", "load"]
Files = Mapping[str, str]


@dataclass(frozen=True)
class Place:
    """Folders without a closing slash; `entry` is the module with the application, also one that is still to come.

    `migrations` is the folder of that name, or one of ours beside the migrations of others. Then the database file and
    the record of what was applied are ours too, since their tool knows nothing of our scripts, nor we of theirs.

    The plan chooses it, so that a specialist who may not see the code still writes to the right place.
    """

    package: str
    tests: str
    entry: str
    migrations: str

    @property
    def module(self) -> str:
        """The import name of the package: `src/shop/auth` gives `shop.auth`."""
        return dotted(self.package)

    def filled(self, text: str) -> str:
        """A template with the names of this place."""
        shared = self.migrations == "migrations"
        names = {
            "PKG": self.module,
            "FOLDER": self.package,
            "MAIN": dotted(self.entry),
            "TESTS": self.tests,
            "DEPTH": str(self.package.count("/") + 1),
            "MIGRATIONS_DIR": self.migrations,
            "VERSIONS_TABLE": "schema_migrations" if shared else "auth_schema_migrations",
            "FILE_OTHERWISE": 'os.environ.get("DATABASE_PATH", "service.db")' if shared else '"auth.db"',
            "FILE_SHARED": "shared.db" if shared else "auth.db",
            "FILE_DEFAULT": "service.db" if shared else "auth.db",
            "FILE_TOLD": "`DATABASE_PATH`, else `service.db`" if shared else "`auth.db`",
        }
        for mark, name in names.items():
            text = text.replace(mark, name)
        return text
