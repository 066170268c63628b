"""What a model's folder, or its single file, says without being loaded: what it is, its licence, and the fingerprint of
its weights."""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from diffusers import DiffusionPipeline
from safetensors import SafetensorError

from playground.models.complete import check_listed, check_whole, read_first
from playground.refusal import Refusal
from playground.sources import header, single_file
from playground.sources.parts import INDEX, called, index_of

CONFIG = "config.json"
LONGEST_LICENCE = 80  # characters of it that are shown
LONGEST_TEXT = 400  # of what its card says
MOST_READ = 16_000  # characters of a card
FRONT_MATTER = re.compile(r"---\n(.*?)\n---", re.S)
PROSE = re.compile(r"(?![#>|<!=]|[*+-] |[-*_]{3}|\[!|\d+[.)] )\S+ \S+")
# what the libraries raise for files that cannot be used
UNUSABLE = (OSError, ValueError, TypeError, LookupError, ArithmeticError, RuntimeError, AttributeError, ImportError)
UNUSABLE += (SafetensorError,)
ADVICE = re.compile(r"^Cannot load\s+because |\. If you want to .*")  # of diffusers, around the reason
CHUNK = 2**20  # bytes of a weight file in memory at a time


def load_pipeline(pipeline: type[DiffusionPipeline], folder: Path, **parts: Any) -> DiffusionPipeline:
    """A folder in diffusers layout with safetensors weights, on the CPU. `parts`: those that are there already, or as
    None to be left out, and precisions.

    Raises Refusal, with one sentence, for a folder that cannot be read. Nothing is downloaded, no code of it is run.
    """
    with refusing(f"The model in {called(folder)}"):
        check_listed(pipeline, folder, parts)
        parts |= read_first(folder, parts)
        found = pipeline.from_pretrained(folder, use_safetensors=True, local_files_only=True, **parts)
    check_whole(found, called(folder))
    return found


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """What the libraries raise for files that cannot be used -> Refusal, with their first line; `what` begins it."""
    try:
        yield
    except Refusal:
        raise
    except UNUSABLE as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        first = ADVICE.sub("", first)
        raise Refusal(f"{what} cannot be loaded: {first[:200]}") from error


def network_config(folder: Path, kind: str, what: str) -> dict[str, Any]:
    """The config of a folder with one network of this class of diffusers, `what` people call it. Raises Refusal for any
    other folder."""
    try:
        found = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise Refusal(f"{folder.name} is no {what} in diffusers' layout: its {CONFIG} cannot be read.") from None
    named = found.get("_class_name") if isinstance(found, dict) else None
    if named != kind:
        said = f"a {named}" if isinstance(named, str) else "something else"
        raise Refusal(f"{folder.name} is {said[:60]}, and no {kind}, which a {what} must be here.")
    return found


def licence(folder: Path) -> str:
    """As the front matter of its card, or the header of its file, names it; empty where neither does."""
    if folder.is_file():
        return header.read(folder).notes.get("modelspec.license", "")[:LONGEST_LICENCE]
    head = FRONT_MATTER.match(_card(folder))
    named = re.search(r"^license:\s*(\S+)\s*$", head.group(1), re.M) if head else None
    return named.group(1) if named else ""


def described(folder: Path) -> str:
    """What its card, or the header of its file, says of it first, as plain text; empty where neither says anything.

    Of the card it is the first paragraph that is prose: no heading, list, table, picture, quotation or HTML.
    """
    if folder.is_file():
        return _shortened(header.read(folder).notes.get("modelspec.description", ""))
    text = re.sub(r"```.*?(```|$)", "", FRONT_MATTER.sub("", _card(folder)), flags=re.S)
    paragraphs = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text))
    return next((_shortened(_without_marks(part)) for part in paragraphs if PROSE.match(part)), "")


def _card(folder: Path) -> str:
    try:
        with (folder / "README.md").open(encoding="utf-8", errors="replace") as file:
            return file.read(MOST_READ)
    except OSError:
        return ""


def _without_marks(markdown: str) -> str:
    """Links as their text, without marks of emphasis and code."""
    return re.sub(r"\*+|__|`", "", re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", markdown))


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT].rsplit(" ", 1)[0] + " …"


def fingerprint(folder: Path, precision: Any) -> str:
    """16 digits over the weights and settings of the parts that the index names, and the precision: pictures without
    LoRAs are kept under it. What else lies in the folder (figures, previews) changes no picture. Of a single file: over
    it and the settings that it is read by."""
    digest = hashlib.sha256(json.dumps(precision).encode())
    if folder.is_file():
        settings = single_file.settings(folder, single_file.layout(folder))
        for path in sorted(path for path in settings.rglob("*") if path.suffix in (".json", ".txt")):
            digest.update(path.relative_to(settings).as_posix().encode() + path.read_bytes())
        digest.update(bytes.fromhex(file_digest(folder)))
        return digest.hexdigest()[:16]
    parts = [part for part in index_of(folder) if (folder / part).is_dir()]
    for path in [folder / INDEX, *sorted(path for part in parts for path in (folder / part).rglob("*"))]:
        is_read = path.suffix == ".model" and not path.with_name("tokenizer.json").is_file()  # else that one is
        if is_read or path.suffix in (".safetensors", ".json", ".txt", ".jinja"):
            digest.update(path.relative_to(folder).as_posix().encode())
            with path.open("rb") as file:
                while chunk := file.read(CHUNK):
                    digest.update(chunk)
    return digest.hexdigest()[:16]


def file_digest(path: Path) -> str:
    """64 hexadecimal digits over one file, read as a stream."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
