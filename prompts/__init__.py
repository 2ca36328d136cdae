"""The words: specialists' files, the coordinator's own prompts, and what reads and checks them."""

if __name__ != "backend_coordinator.prompts":
    msg = "import backend_coordinator.prompts, not prompts"
    raise ImportError(msg)
