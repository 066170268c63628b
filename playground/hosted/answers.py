"""What comes back from a provider, none of it trusted: bounded, looked at, and turned into a picture or a sentence."""

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from PIL import Image

from playground import pictures
from playground.hosted.configuration import HostedModel
from playground.refusal import Refusal

MOST_BYTES = 12 * 2**20  # of an answer; base64 makes four letters of three bytes of a picture, which has at most 8 MB
LONGEST = 160  # characters of what a provider says
ECHO = 6  # characters of a key in a row, from which on its provider's words are not repeated
MODERATION = ("moderation", "content_policy", "content_filter", "safety")  # in a provider's word for why
NO_CREDIT = ("insufficient_quota", "billing", "insufficient_balance", "payment")


def bounded(chunks: Iterable[bytes], model: HostedModel, until: float) -> bytes:
    """The whole of an answer. Raises Refusal where it is too large, or not there at that `time.monotonic()`."""
    found, size = [], 0
    for chunk in chunks:
        size += len(chunk)
        if size > MOST_BYTES:
            raise Refusal(f"The answer of {model.provider} has more than {MOST_BYTES // 2**20} MB, so it was dropped.")
        if time.monotonic() > until:
            raise Refusal(too_late(model))
        found.append(chunk)
    return b"".join(found)


def too_late(model: HostedModel) -> str:
    """What is said where nothing came in time; whether it is paid for all the same, nobody here knows."""
    return f"{model.provider} did not answer within {model.seconds:.0f} s."


def unreachable(model: HostedModel, error: Exception) -> str:
    """Only the kind of error is said: its text may hold anything that was sent."""
    return f"{model.provider} could not be asked ({type(error).__name__})."


def refused(model: HostedModel, status: int, headers: Mapping[str, str], body: bytes) -> str:
    """An answer that is no picture -> one sentence."""
    who, code, message = model.provider, *_said(body)
    if 300 <= status < 400:
        return f"{who} answered with another address (status {status}), which is not followed."
    if any(word in code.lower() for word in MODERATION):
        return f"{who} refuses to draw this prompt, by its own rules."
    if status == 402 or any(word in code.lower() for word in NO_CREDIT):
        return f"{who} says that the credit of the key in {model.variable} is used up."
    if status == 401:
        return f"{who} does not accept the key in {model.variable}."
    if status == 403:
        return f"{who} does not let the key in {model.variable} use {model.model}."
    if status == 429:
        wait = headers.get("retry-after", "")
        when = f"try again in {int(wait)} s" if wait.isascii() and wait.isdecimal() and len(wait) < 6 else "try later"
        return f"{who} is asked too often by this key; {when}."
    if status >= 500:
        return f"{who} has failed (status {status}); try later."
    if 400 <= status and message and not _echoes(model.key, message):
        return f"{who} refused the request (status {status}): “{message}”"
    return f"{who} refused the request (status {status})." if status >= 400 else no_picture(model)


def no_picture(model: HostedModel) -> str:
    return f"{model.provider} answered with something that holds no picture."


def picture(given: bytes | Image.Image, model: HostedModel) -> Image.Image:
    """The picture of an answer, in RGB and in its own size, decoded as uploads are. Raises Refusal for any other."""
    try:
        return pictures.whole_of(given)
    except Refusal as refusal:
        raise Refusal(f"{model.provider} sent no picture that can be used. {refusal}") from None


def _said(body: bytes) -> tuple[str, str]:
    """A provider's word and its sentence, as OpenAI ({"error": {"code", "message"}}), Stability AI ({"name",
    "errors"}) and Hugging Face ({"error"}) write them; empty where there are none."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(data, dict):
        return "", ""
    inner = data.get("error", data)
    if not isinstance(inner, dict):
        return _short(data.get("code")), _short(inner)
    code = inner.get("code") or inner.get("name") or inner.get("type")
    message = inner.get("message") or inner.get("errors")
    return _short(code), _short(message[0] if isinstance(message, list) and message else message)


def _short(said: Any) -> str:
    if not isinstance(said, str):
        return ""
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in said[: 4 * LONGEST]).split())
    return plain if len(plain) <= LONGEST else f"{plain[: LONGEST - 1]}…"


def _echoes(key: str, text: str) -> bool:
    """Whether a provider repeats a part of the key, as some do for a wrong one."""
    return any(key[at : at + ECHO] in text for at in range(len(key) - ECHO + 1))
