"""A simulated OpenAI: the same answers on the wire, lives of seconds, and faults on demand."""

from local.simulator.lifecycle import Script
from local.simulator.server import Fault, Pace, SimulatedOpenAI
from local.simulator.webhooks import Endpoint, Mischief, Webhooks

__all__ = ["Endpoint", "Fault", "Mischief", "Pace", "Script", "SimulatedOpenAI", "Webhooks"]
