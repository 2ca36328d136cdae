"""All tools: a new module of tools is named here, and nowhere else."""

from backend_coordinator.domain.roster import Specialist
from backend_coordinator.nodes.tools import files, project, protocol
from backend_coordinator.nodes.tools.registry import TOOLS, Tool

MODULES = (files, project, protocol)


def tools_of(specialist: Specialist) -> dict[str, Tool]:
    """The tools a specialist's file grants, by name."""
    return {name: tool for name, tool in sorted(TOOLS.items()) if name in specialist.granted}
