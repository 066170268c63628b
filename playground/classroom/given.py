"""What a teacher or a visitor typed into a form, read with suspicion. Each raises Refusal with one sentence."""

from playground.classroom.keys import LONGEST_PASSWORD, hashed
from playground.classroom.plain import DAYS, LONGEST_NAME
from playground.refusal import Refusal


def name_given(name: object, whose: str) -> str:
    """One line, without what would not be seen; may be empty. `whose` begins the sentence."""
    if name is None:
        return ""
    if not isinstance(name, str):
        raise Refusal(f"{whose} must be a text.")
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in name).split())
    if len(text) > LONGEST_NAME:
        raise Refusal(f"{whose} can have at most {LONGEST_NAME} letters.")
    return text


def password_given(password: object) -> bytes | None:
    """Hashed; None for none."""
    if password is None or password == "":
        return None
    if not isinstance(password, str) or len(password) > LONGEST_PASSWORD:
        raise Refusal(f"The password can have at most {LONGEST_PASSWORD} letters.")
    return hashed(password)


def days_given(days: object) -> int:
    if isinstance(days, bool) or not isinstance(days, int | float) or not DAYS[0] <= days <= DAYS[1] or days % 1:
        raise Refusal(f"The days until it is deleted must be a whole number from {DAYS[0]} to {DAYS[1]}.")
    return int(days)
