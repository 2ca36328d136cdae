"""What tests of flows built on this package need: models without a server, recordings, faults, a closed network."""

from backend_coordinator.testing.cassette import CassetteMiss, cassette
from backend_coordinator.testing.faulty import FAULTS, SURVIVABLE, Faulty, Injected
from backend_coordinator.testing.network import NetworkRefused, no_network
from backend_coordinator.testing.scripted import Script, ScriptedModel, calls
from backend_coordinator.testing.tape import VOLATILE

__all__ = [
    "FAULTS",
    "SURVIVABLE",
    "VOLATILE",
    "CassetteMiss",
    "Faulty",
    "Injected",
    "NetworkRefused",
    "Script",
    "ScriptedModel",
    "calls",
    "cassette",
    "no_network",
]
