"""The base of all domain values."""

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """A frozen value that refuses unknown fields, so that a misspelt one is an error and not silence."""

    model_config = ConfigDict(frozen=True, extra="forbid")
