"""The graph as a picture in words."""

from backend_coordinator.domain.failure import LevelBudget
from backend_coordinator.graph.build import sentence
from backend_coordinator.nodes.tools.catalogue import roster_with


def mermaid(*, xray: bool = False) -> str:
    """Mermaid text of the outer graph; with `xray` each specialist's gates and its four levels too."""
    app = sentence(roster_with(), LevelBudget()).compile()
    return str(app.get_graph(xray=xray).draw_mermaid())
