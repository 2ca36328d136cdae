"""The documents of each part, and what each part says of itself."""

from collections.abc import Mapping

from backend_coordinator.nodes.models.offline.auth.code import is_own_application
from backend_coordinator.nodes.models.offline.auth.others import refuse_others
from backend_coordinator.nodes.models.offline.auth.place import Files, Part, Place
from backend_coordinator.nodes.models.offline.templates import template

TARGET_MS = 200
_MEASURED = ("login", "refresh", "me")
_OWN = {
    "START": "python -m uvicorn MAIN:app",
    "WITHOUT_KEYS": "the service does not start",
    "CORS_ROW": "| `AUTH_CORS_ORIGINS` | origins whose pages may call the service, with spaces between | none |\n",
}
_BESIDE_OTHERS = {
    "START": "# then start the application as usual",
    "WITHOUT_KEYS": "everything under `/auth` answers 503",
    "CORS_ROW": "",
}
_PAPERS: dict[Part, tuple[str, str]] = {
    "oauth": ("docs/oauth.md", "oauth"),
    "tokens": ("docs/tokens.md", "tokens"),
    "accounts": ("docs/accounts.md", "accounts"),
    "load": ("docs/performance.md", "performance"),
}

NOTES: dict[Part, tuple[str, tuple[str, ...]]] = {
    "contract": (
        "Designed the contract of /auth, which nobody on the frontend's side has validated yet.",
        (
            "Nobody on the frontend's side has validated it yet: its description says what to check",
            "Every error is an AuthErrorResponse; a missing setting is 503",
            "Paths carry no version: info.version is semantic, and a breaking change gets paths of its own",
        ),
    ),
    "schema": (
        "Wrote the tables of users, identities, sessions, refresh tokens, attempts and states, with a way back.",
        (
            "Of tokens and states only SHA-256 digests are stored",
            "Times are whole seconds since 1970",
        ),
    ),
    "endpoints": (
        "Wrote signing in, renewing and signing out, with limits in the database.",
        (
            "A refresh token is good once; a second use ends its session",
            "Routers are found in the folder routers, so no list is edited to add one",
        ),
    ),
    "oauth": (
        "Wrote signing in through an OAuth2 provider with state, PKCE and one-time codes.",
        (
            "A provider's account is known by provider and subject, and never joined by e-mail",
            "Anything that fails at the provider is 502",
        ),
    ),
    "tokens": (
        "Wrote the check of access tokens, and the routes that show and end the caller's own sessions.",
        (
            "Depends(current) asks for a token on any route; the session is looked up every time",
            "The first key of AUTH_KEYS signs and all of them verify",
        ),
    ),
    "accounts": (
        "Wrote the keeping of users and sessions, and a command for operators.",
        (
            "A new password and disabling an account end its sessions",
            "Passwords are asked for or read from the environment, never taken as arguments",
        ),
    ),
    "review": (
        "Recorded what protects each endpoint of /auth and what does not.",
        ("No person has reviewed the code; the record says so",),
    ),
    "load": (
        "Wrote a load test of signing in, renewing and the check of a token, and what it found.",
        ("The test judges no times, since they depend on the machine; it records them",),
    ),
}


def paper(part: Part, place: Place, files: Files, measured: Mapping[str, float]) -> dict[str, str]:
    """The documents that a part writes; `measured` has milliseconds by name.

    Raises ValueError when the repository has a document of its own in the way.
    """
    if part == "endpoints":
        return {"README.md": _readme(place, files)}
    if part == "review":
        return {"docs/security.md": _joined(files.get("docs/security.md", ""), template("auth/docs/security"))}
    path, name = _PAPERS[part]
    written = {path: place.filled(template(f"auth/docs/{name}").replace("FIGURES", _figures(measured)))}
    refuse_others(files, written)
    return written if part == "load" else {path: files.get(path, written[path])}


def _readme(place: Place, files: Files) -> str:
    own = is_own_application(place, files)
    section = template("auth/docs/readme")
    for mark, words in (_OWN if own else _BESIDE_OTHERS).items():
        section = section.replace(mark, words)
    text = files.get("README.md") or (template("auth/docs/readme_new") if own else "# Authentication\n")
    return text if "\n## Authentication\n" in text else f"{text.rstrip()}\n\n{place.filled(section)}"


def _joined(text: str, review: str) -> str:
    title, _, _ = review.partition("\n")
    if not text or text.startswith(title):
        return review
    return (
        text
        if f"\n#{title}\n" in text
        else f"{text.rstrip()}\n\n" + review.replace("## ", "### ").replace(title, f"#{title}")
    )


def _figures(measured: Mapping[str, float]) -> str:
    found = {name: measured[f"{name}_p95_ms"] for name in _MEASURED if f"{name}_p95_ms" in measured}
    if not found:
        return "Not measured yet: run the test as below, on a quiet machine.\n"
    rows = "".join(
        f"| {name} | {value:.1f} ms | {'met' if value <= TARGET_MS else 'missed'} |\n" for name, value in found.items()
    )
    return f"| request | p95 | target of {TARGET_MS} ms |\n| --- | --- | --- |\n{rows}"
