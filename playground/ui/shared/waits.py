"""How long something takes, for people: estimates as ranges, and what a run waits for."""

from playground.engine import Waiting

NICE = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 40, 50, 60)  # numbers that say that they are estimates
BELOW, ABOVE = 0.8, 1.25  # how far off an estimate may well be
MINUTE = 60


def roughly(seconds: float) -> str:
    """Seconds -> a range of round numbers around them: "8–15 s", "under 1 s", "10–20 minutes"."""
    if seconds * ABOVE <= 1:
        return "under 1\u00a0s"
    unit, name = (1, "s") if seconds * ABOVE <= NICE[-1] else (MINUTE, "minutes")
    if seconds * BELOW / unit > NICE[-1]:
        return "more than an hour"
    low = max((n for n in NICE if n <= seconds * BELOW / unit), default=None)
    high = min((n for n in NICE if n >= seconds * ABOVE / unit), default=NICE[-1])
    return f"under {high}\u00a0{name}" if low is None else f"{low}–{high}\u00a0{name}"


def sharing(others: int) -> str:
    """The number of other visitors' runs -> what a person should know about it."""
    return f"shared fairly with {others} other {'run' if others == 1 else 'runs'}"


def waits_for(event: Waiting) -> str:
    """What a run waits for: its model on its way, or others beside it, and when it may be finished."""
    if event.model:
        return event.model
    shared = sharing(event.others).capitalize()
    return f"{shared}." if event.seconds is None else f"{shared}, finished in {roughly(event.seconds)}."
