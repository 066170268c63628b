"""A model of the hub by its id, `owner/name` or `owner/name@revision` -> the folder on this machine that holds it.

The hub is asked about a model before anything is fetched, because only then are gated, unknown and offline told apart.
Fetched are settings and safetensors weights of the parts that a picture needs, nothing that is pickled and no code.
What a model was resolved to is pinned: without a revision it stays at the commit of the first download, and starts
without a network; with a branch or a tag the hub is asked at every start, and the pin is used where it does not answer.
"""

import re
import shutil
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from playground.refusal import Refusal
from playground.sources import pins
from playground.sources.parts import INDEX, index_of, needed
from playground.sources.progress import said, telling

COMMIT = re.compile(r"[0-9a-f]{40}")
Tell = Callable[[str], None]  # takes one line for whoever starts the app


@dataclass(frozen=True)
class Found:
    """What the hub says of a model at one commit."""

    commit: str
    files: Mapping[str, int]  # of the repository -> bytes


def folder_of(given: str, tell: Tell) -> Path:
    """Fetch what is not here yet. Raises Refusal, with one sentence, where that cannot be done."""
    repo, _, revision = given.partition("@")
    pinned = pins.read(given)
    fixed = bool(COMMIT.fullmatch(revision)) or not revision
    if pinned and fixed and _here(repo, pinned):
        return _folder(repo, pinned)
    try:
        found = _asked(repo, pinned.commit if pinned and fixed else revision)
    except _Unreachable as problem:
        if pinned and _here(repo, pinned):
            tell(f"The hub cannot be reached: {given} as it was fetched before, {pinned.commit[:7]}.")
            return _folder(repo, pinned)
        raise Refusal(f"The hub cannot be reached, and {given} is not whole on this machine: {problem}") from None
    return _fetched(given, repo, found, tell)


class _Unreachable(Exception):
    """No answer of the hub, or none that says anything of the model."""


def _asked(repo: str, revision: str) -> Found:
    """Raises Refusal where the hub gives no such model to us, _Unreachable where it does not answer."""
    try:
        info = HfApi().model_info(repo, revision=revision or None, files_metadata=True)
    except GatedRepoError:
        raise _gated(repo) from None
    except RevisionNotFoundError:
        raise Refusal(f"{repo} has no revision {revision[:60]!r}.") from None
    except DisabledRepoError:
        raise Refusal(f"{repo} has been disabled at the hub.") from None
    except RepositoryNotFoundError:
        raise Refusal(
            f"There is no folder {repo} here and no such model at the hub, unless it is private: then set HF_TOKEN to "
            "a token that may read it."
        ) from None
    except OfflineModeIsEnabled:
        raise _Unreachable("HF_HUB_OFFLINE is set.") from None
    except HfHubHTTPError as error:
        raise _Unreachable(f"it answered {error.response.status_code}.") from None
    except HTTPError as error:
        raise _Unreachable(f"{type(error).__name__}.") from None
    except ValueError:  # an id that the hub's own client does not take
        raise Refusal(f"{repo[:80]} is no id of a model: it must be owner/name.") from None
    return Found(info.sha or "", {file.rfilename: file.size or 0 for file in info.siblings or ()})


def _gated(repo: str) -> Refusal:
    return Refusal(
        f"{repo} is gated: accept its terms on its page at the hub, then set HF_TOKEN to a token of that account."
    )


def _fetched(given: str, repo: str, found: Found, tell: Tell) -> Path:
    if INDEX not in found.files:
        raise Refusal(f"{repo} is no model in diffusers layout: it has no {INDEX}.")
    try:
        index = index_of(Path(hf_hub_download(repo, INDEX, revision=found.commit)).parent, repo)
        from playground.sources.others import of_a_family, pipeline_of  # which brings diffusers with it

        if not of_a_family(index):
            pipeline_of(index, repo)
        files = {name: found.files[name] for name in needed(index, found.files, repo)}
        pin = pins.Pin(found.commit, files)
        if missing := _missing(repo, pin):
            _check_room(repo, sum(missing.values()))
            size, whole = sum(missing.values()), sum(files.values())
            rest = f" of {said(whole)}, the rest is here already" if said(size) != said(whole) else ""
            tell(f"{repo} at {found.commit[:7]}: {said(size)} to download{rest} …")
            _download(repo, found.commit, sorted(missing), size, tell)
        if _missing(repo, pin):
            raise Refusal(f"The download of {repo} is not whole; start again, and only what is missing is fetched.")
    except GatedRepoError:
        raise _gated(repo) from None
    except EntryNotFoundError as error:
        if not isinstance(error, LocalEntryNotFoundError):
            raise Refusal(f"{repo} changed while it was fetched; start again.") from None
        raise _stopped(repo, error) from None
    except (HTTPError, OSError) as error:
        raise _stopped(repo, error) from None
    pins.write(given, pin)
    return _folder(repo, pin)


def _download(repo: str, commit: str, files: list[str], size: int, tell: Tell) -> None:
    """In another thread, because the hub's client ends the files under way before it lets Ctrl-C through; so they are
    given up at their next piece. Those that are whole stay."""
    given_up = threading.Event()
    bars = telling(lambda line: tell(f"{repo}: {line}"), size, given_up)
    with ThreadPoolExecutor(1) as other:
        fetching = other.submit(snapshot_download, repo, revision=commit, allow_patterns=files, tqdm_class=bars)
        try:
            fetching.result()
        finally:
            given_up.set()


def _stopped(repo: str, error: Exception) -> Refusal:
    reason = getattr(error, "strerror", None) or type(error).__name__
    return Refusal(f"The download of {repo} stopped ({reason}); start again, and only what is missing is fetched.")


def _missing(repo: str, pin: pins.Pin) -> dict[str, int]:
    """Of its files, those that are not in the cache whole -> bytes."""

    def here(name: str, size: int) -> bool:
        path: Any = try_to_load_from_cache(repo, name, revision=pin.commit)
        return isinstance(path, str) and Path(path).is_file() and Path(path).stat().st_size == size

    return {name: size for name, size in pin.files.items() if not here(name, size)}


def _here(repo: str, pin: pins.Pin) -> bool:
    return not _missing(repo, pin)


def _folder(repo: str, pin: pins.Pin) -> Path:
    """Where the hub's own client keeps this commit."""
    return Path(str(try_to_load_from_cache(repo, INDEX, revision=pin.commit))).parent


def _check_room(repo: str, size: int) -> None:
    cache = Path(constants.HF_HUB_CACHE)
    room = shutil.disk_usage(next(path for path in (cache, *cache.parents) if path.is_dir())).free
    if size > room:
        raise Refusal(f"{repo} needs {said(size)} to download, and its disk has {said(room)} left.")
