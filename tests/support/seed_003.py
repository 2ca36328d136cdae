"""The bash rules of seed 003, as its front matter orders them, and with what its user denies besides."""

from backend_coordinator.nodes.permissions.rules import Decision, Rules

ALLOWED = ("npm", "yarn", "pnpm", "git", "node", "npx", "docker", "docker-compose")
RULES: dict[str, Decision] = {
    **{f"{program} *": "allow" for program in ALLOWED},
    "systemctl *": "ask",
    "sudo *": "ask",
    "*": "ask",
}
WITH_DENIALS: dict[str, Decision] = {
    **RULES,
    **dict.fromkeys(("rm *", "curl *", "git push *", "npm publish *"), "deny"),
}


def orders(rules: dict[str, Decision]) -> tuple[Rules, ...]:
    """The same rules as they stand, backwards, and sorted."""
    return rules, dict(reversed(rules.items())), dict(sorted(rules.items()))
