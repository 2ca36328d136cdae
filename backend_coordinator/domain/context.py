"""What a specialist is told: items, the assignment made of them, and the manifest of what was held back."""

from enum import StrEnum

from backend_coordinator.domain.base import Value


class ContextKind(StrEnum):
    """The kinds by which context is filtered (Context Filtering Rules)."""

    API_REQUIREMENT = "api_requirement"
    API_CONTRACT = "api_contract"
    FRONTEND_INTEGRATION = "frontend_integration"
    THIRD_PARTY_CONTRACT = "third_party_contract"
    VERSIONING_STRATEGY = "versioning_strategy"
    DATABASE_IMPLEMENTATION = "database_implementation"
    DEVOPS_CONFIGURATION = "devops_configuration"
    SYSTEM_DESIGN = "system_design"
    PERFORMANCE_REQUIREMENT = "performance_requirement"
    SCALABILITY_CONSTRAINT = "scalability_constraint"
    TECHNOLOGY_STACK = "technology_stack"
    INTEGRATION_PATTERN = "integration_pattern"
    IMPLEMENTATION_CODE = "implementation_code"
    API_IMPLEMENTATION = "api_implementation"
    FRONTEND_REQUIREMENT = "frontend_requirement"
    BUSINESS_LOGIC = "business_logic"
    DATABASE_SCHEMA = "database_schema"
    ERROR_HANDLING = "error_handling"
    CODE_PATTERN = "code_pattern"
    FRONTEND_MARKUP = "frontend_markup"
    DATABASE_ADMINISTRATION = "database_administration"
    DATA_MODEL = "data_model"
    QUERY_PATTERN = "query_pattern"
    SCALING_STRATEGY = "scaling_strategy"
    SECURITY_REQUIREMENT = "security_requirement"
    OPERATIONS = "operations"
    DOCUMENTATION = "documentation"
    TEST_RESULT = "test_result"


class ContextItem(Value):
    """The unit of context filtering; `source` says where the text comes from (a path, a task, `user`)."""

    kind: ContextKind
    source: str
    text: str


class ManifestEntry(Value):
    """One item's fate: `rule` is the reason, `tokens` the estimated size of what went in, else of the whole item.

    Of a `digest` only an outline went in; the rest is read with `recall`.
    """

    kind: ContextKind
    source: str
    included: bool
    rule: str
    tokens: int
    digest: bool = False


class ContextManifest(Value):
    """Which items one assignment holds or withholds, and why."""

    specialist: str
    task: str
    entries: tuple[ManifestEntry, ...] = ()
    packet: int = 0
    """Estimated tokens of the whole text that the items went into."""

    @property
    def tokens(self) -> int:
        """Estimated tokens of all included items."""
        return sum(entry.tokens for entry in self.entries if entry.included)


class Message(Value):
    """One piece of guidance added to a later attempt; `author` is who gave it."""

    author: str
    text: str


class Assignment(Value):
    """Everything one specialist is told for one attempt; `packet` is the filled delegation template."""

    task: str
    specialist: str
    attempt: int
    packet: str
    guidance: tuple[Message, ...] = ()
