"""Many recipes at once -> events."""

from playground.engine.contract import (
    PREPARING,
    Answer,
    Begin,
    Begun,
    Decode,
    Done,
    Encode,
    Engine,
    Event,
    Failed,
    Keep,
    Kept,
    Question,
    Result,
    Start,
    Step,
    Waiting,
)
from playground.engine.guest import Guest
from playground.engine.house import House
from playground.engine.local import LocalEngine, open_engine
from playground.engine.several import Member, Several

__all__ = [
    "PREPARING",
    "Answer",
    "Begin",
    "Begun",
    "Decode",
    "Done",
    "Encode",
    "Engine",
    "Event",
    "Failed",
    "Guest",
    "House",
    "Keep",
    "Kept",
    "LocalEngine",
    "Member",
    "Question",
    "Result",
    "Several",
    "Start",
    "Step",
    "Waiting",
    "open_engine",
]
