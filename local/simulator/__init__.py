"""A simulated OpenAI: the same answers on the wire, lives of seconds, and faults on demand."""

from local.simulator.lifecycle import Script
from local.simulator.server import Fault, SimulatedOpenAI

__all__ = ["Fault", "Script", "SimulatedOpenAI"]
