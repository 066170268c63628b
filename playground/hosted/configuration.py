"""The file that names hosted models: read once at the start, with keys from the environment only."""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import gcd
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playground.models.elsewhere import NAMES
from playground.recipe import SEED_RANGE, SIDE_RANGE
from playground.refusal import Refusal

LONGEST = 65_536  # bytes of the file
KEY = re.compile(r"[\x21-\x7e]{8,4096}")  # what can stand in a header
VARIABLE = re.compile(r"[A-Za-z_]\w{0,99}", re.ASCII)
NAME = re.compile(r"[\w .+-]{1,64}")
SIZE = re.compile(r"(\d{2,4})x(\d{2,4})", re.ASCII)
MONTH = re.compile(r"\b20\d\d-(0[1-9]|1[0-2])\b")  # in a price, because prices change
THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
RATIOS = ("16:9", "1:1", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21")  # that Stability AI draws


@dataclass(frozen=True)
class Kind:
    """What is known of a wire form before a file says more."""

    provider: str
    url: str  # where it is asked, unless the file says another address
    key: str  # the variable of its key, unless the file names another one
    takes: tuple[str, ...]  # of a recipe besides prompt and size
    can_take: tuple[str, ...]  # the most of them that a file may name
    seeds: tuple[int, int] = SEED_RANGE
    sizes: tuple[tuple[int, int], ...] = ()


SQUARE = ((1024, 1024),)
ALL = ("negative_prompt", "num_inference_steps", "guidance_scale", "seed")
KINDS = {
    "huggingface": Kind("Hugging Face", "", "HF_TOKEN", ALL, ALL),
    "openai": Kind("OpenAI", "https://api.openai.com/v1", "OPENAI_API_KEY", (), (), sizes=SQUARE),
    # to Stability AI the seed 0 means any, and 2³²−1 is one too many
    "stability": Kind(
        "Stability AI",
        "https://api.stability.ai",
        "STABILITY_API_KEY",
        ("negative_prompt", "seed"),
        ("negative_prompt", "guidance_scale", "seed"),
        (1, SEED_RANGE[1] - 1),
        SQUARE,
    ),
}


@dataclass(frozen=True)
class HostedModel:
    """One model of the file, with its key. The key is in no text of it."""

    name: str  # as recipes say it
    kind: str
    model: str  # as its provider calls it
    provider: str  # who draws, as people call it
    through: str  # of Hugging Face's providers the one that is asked; "" leaves the choice to it
    url: str  # the address below which it is asked; "" is the library's own
    variable: str  # that the key stands in
    key: str = field(repr=False)
    takes: tuple[str, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()
    price: str = ""
    seconds: float = 120.0  # that an answer may take
    at_once: int = 2  # requests
    most: int = 100  # pictures that are asked for from one start to the next
    extra: Mapping[str, Any] = field(default_factory=dict)  # sent as it is with every request


def read(path: Path, tell: Callable[[str], None], environment: Mapping[str, str] = os.environ) -> list[HostedModel]:
    """The models of a file whose keys are there; `tell` is given a line for each that is left out.

    Raises Refusal, with one sentence, for a file that cannot be read or says something that cannot be.
    """
    found, names = [], set[str]()
    for table in _tables(path):
        model = _model(table, environment)
        if model.name in names:
            raise Refusal(f"Two hosted models are named {model.name}; rename one.")
        names.add(model.name)
        if KEY.fullmatch(model.key):
            found.append(model)
        else:
            wrong = "holds no key" if model.key else "is not set"
            tell(f"The hosted model {model.name} is left out: {model.variable} {wrong}.")
    return found


def _tables(path: Path) -> list[Any]:
    shown = path.name[:60]
    try:
        data = path.read_bytes()[: LONGEST + 1]
    except OSError as error:
        raise Refusal(f"The file {shown} of --hosted cannot be read: {error.strerror}.") from None
    if len(data) > LONGEST:
        raise Refusal(f"The file {shown} of --hosted is larger than {LONGEST // 1024} KB.")
    try:
        text = data.decode("utf-8")
        content = json.loads(text) if path.suffix.lower() == ".json" else _toml(text)
    except (ValueError, RecursionError):  # of which the decoders' own errors are kinds
        raise Refusal(f"The file {shown} of --hosted is neither TOML nor, named .json, valid JSON.") from None
    tables = content.get("model") if isinstance(content, dict) else None
    if not isinstance(tables, list) or not tables or set(content) != {"model"}:
        raise Refusal(f"The file {shown} of --hosted needs a [[model]] for each model, and nothing else.")
    return tables


def _toml(text: str) -> Any:
    try:
        import tomllib
    except ImportError:  # Python 3.10
        raise Refusal("--hosted needs JSON with this version of Python; name the file .json.") from None
    return tomllib.loads(text)


def _model(table: Any, environment: Mapping[str, str]) -> HostedModel:
    if not isinstance(table, dict):
        raise Refusal("A hosted model must be a table with name, kind and model.")
    name = _text(table, "name", "a hosted model")
    if not NAME.fullmatch(name):
        raise Refusal("The name of a hosted model has 1 to 64 letters, digits, spaces, dots, dashes and underscores.")
    whose = f"the hosted model {name}"
    known = ("name", "kind", "model", "provider", "url", "key", "takes", "sizes", "price", "extra")
    known += ("seconds", "at_once", "most")
    if unknown := sorted(set(table) - set(known)):
        raise Refusal(f"{unknown[0][:40]!r} is no setting of {whose}; known: {', '.join(known)}.")
    if (which := _text(table, "kind", whose)) not in KINDS:
        raise Refusal(f"kind must be one of {', '.join(KINDS)} for {whose}, not {which[:40]!r}.")
    kind = KINDS[which]
    if not VARIABLE.fullmatch(variable := _text(table, "key", whose, kind.key)):
        raise Refusal(f"key must be the name of an environment variable for {whose}; the key itself stands there only.")
    through = _text(table, "provider", whose, "")
    if through and which != "huggingface":
        raise Refusal(f"provider is for the kind huggingface, so {whose} has none.")
    url = _address(_text(table, "url", whose, ""), whose)
    price = _text(table, "price", whose, "")
    if price and not MONTH.search(price):
        raise Refusal(f"price must say the month in which it was noted, such as 2026-11, for {whose}.")
    extra = table.get("extra", {})
    if not isinstance(extra, dict) or not all(isinstance(value, str | int | float | bool) for value in extra.values()):
        raise Refusal(f"extra must be a table of plain values for {whose}.")
    at = f"{through} through {kind.provider}" if through else kind.provider
    return HostedModel(
        name,
        which,
        _text(table, "model", whose),
        str(urlsplit(url).hostname) if url else at,
        through,
        url or kind.url,
        variable,
        environment.get(variable, "").strip(),
        _takes(table, kind, whose),
        _sizes(table, which, whose),
        price,
        _number(table, "seconds", whose, 120, 1, 600),
        _number(table, "at_once", whose, 2, 1, 8),
        _number(table, "most", whose, 100, 1, 100_000),
        extra,
    )


def _text(table: dict[str, Any], key: str, whose: str, default: str | None = None) -> str:
    value = table.get(key, default)
    if value is None:
        raise Refusal(f"{whose[0].upper()}{whose[1:]} needs {key}.")
    if not isinstance(value, str) or len(value) > 200 or not (value or default == "") or not value.isprintable():
        raise Refusal(f"{key} must be a short text for {whose}.")
    return value.strip()


def _number(table: dict[str, Any], key: str, whose: str, default: int, low: int, high: int) -> int:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Refusal(f"{key} must be a whole number from {low} to {high:,} for {whose}.")
    return value


def _address(url: str, whose: str) -> str:
    """Only https, except to this machine itself, so that no key and no prompt goes out readable."""
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.username or parts.password or parts.query or parts.fragment:
        raise Refusal(f"url must be an address such as https://host/v1 for {whose}, without names, keys or questions.")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in THIS_MACHINE):
        raise Refusal(f"url must begin with https:// for {whose}; http:// is for this machine's own address.")
    return url.rstrip("/")


def _takes(table: dict[str, Any], kind: Kind, whose: str) -> tuple[str, ...]:
    asked = table.get("takes", list(kind.takes))
    if not isinstance(asked, list) or not set(map(str, asked)) <= set(kind.can_take):
        listed = ", ".join(kind.can_take) or "nothing"
        raise Refusal(f"takes can name {listed} for {whose}, which is what its provider's form has a place for.")
    return tuple(name for name in NAMES if name in asked)


def _sizes(table: dict[str, Any], which: str, whose: str) -> tuple[tuple[int, int], ...]:
    if "sizes" not in table:
        return KINDS[which].sizes
    given = table["sizes"]
    matched = [SIZE.fullmatch(text) if isinstance(text, str) else None for text in given] if given else []
    sizes = tuple((int(found[1]), int(found[2])) for found in matched if found)
    low, high = SIDE_RANGE
    if not isinstance(given, list) or not sizes or len(sizes) < len(given):
        raise Refusal(f'sizes must be a list such as ["1024x1024"] for {whose}.')
    if any(side % 8 or not low <= side <= high for size in sizes for side in size):
        raise Refusal(f"sizes must have sides from {low} to {high:,} pixels, multiples of 8, for {whose}.")
    if which == "stability" and (wrong := next((size for size in sizes if ratio_of(*size) not in RATIOS), None)):
        raise Refusal(
            f"sizes must have one of the shapes {', '.join(RATIOS)} for {whose}, not {wrong[0]} × {wrong[1]}."
        )
    return sizes


def ratio_of(width: int, height: int) -> str:
    """ "1:1", "16:9" """
    shared = gcd(width, height)
    return f"{width // shared}:{height // shared}"
