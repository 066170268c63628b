"""Many recipes at once -> events."""

from playground.engine.engine import Engine, open_engine
from playground.engine.events import Done, Event, Failed, Result, Step, Waiting

__all__ = ["Done", "Engine", "Event", "Failed", "Result", "Step", "Waiting", "open_engine"]
