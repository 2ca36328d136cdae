"""The verbs of a run, each callable without a graph."""

if __name__ != "backend_coordinator.nodes":
    msg = "import backend_coordinator.nodes, not nodes"
    raise ImportError(msg)
