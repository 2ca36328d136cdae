"""Which verb follows which: the only package that imports LangGraph."""

if __name__ != "backend_coordinator.graph":
    msg = "import backend_coordinator.graph, not graph"
    raise ImportError(msg)
