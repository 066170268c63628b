"""A class, what it is shown, and how far it is, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LONGEST_NAME = 60  # of a class or a visitor
DAYS = (1, 90)  # after which a class is deleted with all that was answered
USUAL_DAYS = 7


@dataclass(frozen=True)
class Class:
    id: int
    code: str
    name: str
    ends: float  # seconds since 1970, when it is deleted
    closed: bool = False  # nobody can join or answer any more


@dataclass(frozen=True)
class Round:
    """One thing that everybody is shown, and is asked about."""

    id: int
    number: int  # in the class, from 1
    what: Mapping[str, Any]  # see `pushed.read`
    frozen: bool = False  # no answer is taken or changed
    revealed: bool = False
    measured: Mapping[str, Any] = field(default_factory=dict)  # {labels, values} once the pictures are there


@dataclass(frozen=True)
class Member:
    id: int
    number: int  # in the class, from 1
    name: str  # may be empty


@dataclass(frozen=True)
class Now:
    """What a class is at."""

    class_: Class
    round: Round | None
    joined: int
    answered: int  # of the round
