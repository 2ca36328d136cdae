"""The modules that every written service shares, as text with placeholders."""

from functools import cache
from importlib.resources import files


@cache
def template(name: str) -> str:
    """The text called `name`, such as `app/store`."""
    place = files("backend_coordinator.nodes.models.offline.templates")
    return place.joinpath(*f"{name}.txt".split("/")).read_text(encoding="utf-8")
