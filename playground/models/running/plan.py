"""How a model shares the memory that there is: from sizes and free bytes to a plan. Plain data; nothing is moved here.

What changes no picture is tried first: everything in memory, then parts that take turns, then a denoiser that comes
block by block. Only where none of these fits, the VAE decodes in tiles, and then the denoiser's layers are kept in fp8.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from playground.refusal import Refusal
from playground.sources.weights import PartWeights

ALL, TEXTS_LEAVE, ONE_PART, BLOCKS = "all", "texts leave", "one part at a time", "block by block"
LAYERS = "layer by layer"  # of models that are run by their own pipeline
AS_RUN, AS_IN_FILE, FP8 = "as run", "as in the file", "fp8"
SHARE = 0.9  # of what is free; the rest is for what allocators cannot give out
TILE = 512  # pixels per side of what the VAE decodes at once, where it decodes in tiles
# The decoder of AutoencoderKL holds up to 7.5 to 7.8 times height × width × its narrowest width of numbers: PyTorch's
# allocations on a CPU, three sizes of decoder, 128 to 512 pixels. One row of a denoiser needs less.
DECODER_HOLDS = 8
# the same of other VAEs: Sana's up to 4.6 times, and Qwen-Image's, whose convolutions have three dimensions, 21.4 times
OTHERS_HOLD = {"AutoencoderDC": 5, "AutoencoderKLQwenImage": 22}
IN_FILE = {"F16": "fp16", "BF16": "bf16"}  # precisions of files that are smaller than fp32
WAIT = "wait in the host's memory"
_PLACED = {
    TEXTS_LEAVE: "text encoders and {network} take turns and {away} meanwhile",
    ONE_PART: "one part at a time is in memory, and the others {away}",
    BLOCKS: "the {network} comes to the GPU block by block",
    LAYERS: "layers come to the GPU one by one, and {away} meanwhile",
}


@dataclass(frozen=True)
class Sizes:
    """Of one model, as it is to be run."""

    parts: Mapping[str, PartWeights]  # by their name in the pipeline
    denoiser: str  # which of them that is
    each: Mapping[str, int]  # part -> bytes a number in the precision that it is run in
    side: int  # pixels per side of its usual pictures
    decoder_width: int  # of the VAE's decoder where pictures are largest
    decoder_holds: int = DECODER_HOLDS  # times height × width × that width
    rereads: bool = True  # its parts can be read again one by one

    @property
    def texts(self) -> list[str]:
        return [part for part in self.parts if part.startswith("text_encoder")]

    def bytes_of(self, part: str, storage: str) -> int:
        each, weights = self.each[part], self.parts[part]
        if part != self.denoiser or storage == AS_RUN:
            return weights.bytes_in(each)
        return weights.bytes_in(each, 1 if storage == FP8 else weights.stored // max(1, weights.numbers))

    def decoding(self, tiled: bool) -> int:
        """Bytes that the decoder, which is run in fp32, holds besides its weights."""
        side = min(self.side, TILE) if tiled else self.side
        return 4 * self.decoder_holds * side**2 * self.decoder_width


@dataclass(frozen=True)
class Plan:
    placing: str = ALL
    storage: str = AS_RUN
    tiled: bool = False
    converts: bool = True  # there is room for OpenVINO's copies of network and decoder as well
    needs: int = 0  # bytes
    available: int = 0
    says: str = ""  # for the head of the page and the log; empty where there is nothing to say

    @property
    def changes(self) -> list[str]:
        """What of it changes pictures: they are kept under another fingerprint."""
        return [FP8] * (self.storage == FP8) + [f"tiles of {TILE}"] * self.tiled


EVERYTHING = Plan()  # in memory, of a model whose memory was not asked for


def plan(name: str, sizes: Sizes, kind: str, free: int, host: int, limit: int | None = None) -> Plan:
    """The first way that fits.

    `kind`: "cpu", "cuda" or "mps"; `free`: bytes of the device; `host`: bytes of the host, which holds what is not on a
    GPU, and is the device of a CPU; `limit`: bytes of the device that somebody asked for at most. Raises Refusal, with
    what would do, where nothing fits.
    """
    available = int(SHARE * min(free, limit or free))
    roomy, on_host = list[int](), list[int]()  # bytes of the ways that the host has room for, and of it
    for placing, storage, tiled in _ways(sizes, kind):
        needs, of_host = _needs(sizes, placing, storage, tiled), _of_host(sizes, storage)
        on_host.append(of_host)
        if kind == "cuda" and of_host > SHARE * host:
            continue
        roomy.append(needs)
        if needs <= available:
            both = needs + sizes.bytes_of(sizes.denoiser, AS_RUN) + sizes.bytes_of("vae", AS_RUN)
            converts = (placing, storage, tiled) == (ALL, AS_RUN, False) and both <= available
            says = _says(sizes, kind, placing, storage, tiled)
            return Plan(placing, storage, tiled, converts, needs, available, says)
    if not roomy:
        raise Refusal(_refused_by_host(name, min(on_host), host))
    raise Refusal(_refused(name, min(roomy), available, limit is not None and limit <= free))


def plan_whole(
    name: str,
    parts: Mapping[str, PartWeights],
    each: int,
    decoding: int,
    by_parts: bool,
    kind: str,
    free: int,
    host: int,
    limit: int | None = None,
) -> Plan:
    """The same for a model that is run by its own pipeline, which only diffusers itself can share memory for, and on a
    GPU only: by parts, where the pipeline says in which order they come (`by_parts`), or else by layers. Neither
    changes a picture. `each`: bytes a number; `decoding`: bytes that are needed besides weights.
    """
    available, sizes = int(SHARE * min(free, limit or free)), [part.bytes_in(each) for part in parts.values()]
    if kind == "cuda" and sum(sizes) > SHARE * host:
        raise Refusal(_refused_by_host(name, sum(sizes), host))
    weights = {ALL: sum(sizes)}
    if kind == "cuda" and by_parts:
        weights[ONE_PART] = max(sizes)
    if kind == "cuda":
        weights[LAYERS] = max(part.largest_tensor for part in parts.values()) * each
    for placing, of_placing in weights.items():
        needs = of_placing + decoding
        if needs <= available:
            says = _PLACED[placing].format(network="", away=WAIT) if placing != ALL else ""
            return Plan(placing, converts=False, needs=needs, available=available, says=says)
    least = min(weights.values()) + decoding
    raise Refusal(_refused(name, least, available, limit is not None and limit <= free))


def _ways(sizes: Sizes, kind: str) -> Iterator[tuple[str, str, bool]]:
    """In the order they are tried: placing, storage of the denoiser's layers, tiles."""
    exact = [AS_RUN]
    if kind == "cpu" and sizes.parts[sizes.denoiser].precision in IN_FILE and sizes.each[sizes.denoiser] == 4:
        exact.append(AS_IN_FILE)
    placings = [ALL, TEXTS_LEAVE, ONE_PART, BLOCKS] if kind == "cuda" else [ALL]
    if kind == "cpu" and sizes.rereads:
        placings += [TEXTS_LEAVE, ONE_PART]
    for storage_of in (exact, [FP8]) if kind != "mps" else (exact,):  # Apple's GPUs have no fp8
        for tiled in (False, True) if sizes.side > TILE else (False,):
            for placing in placings:
                for storage in storage_of:
                    if not (placing == BLOCKS and storage == FP8):  # whoever has so little, has it for one part in fp8
                        yield placing, storage, tiled


def _needs(sizes: Sizes, placing: str, storage: str, tiled: bool) -> int:
    """Bytes of the device at the fullest moment."""
    texts = [sizes.bytes_of(part, storage) for part in sizes.texts]
    denoiser, vae = sizes.bytes_of(sizes.denoiser, storage), sizes.bytes_of("vae", storage)
    work = sizes.decoding(tiled)
    if placing == ALL:
        return sum(texts) + denoiser + vae + work
    if placing == TEXTS_LEAVE:
        return max(sum(texts), denoiser + vae + work)
    if placing == ONE_PART:
        return max([*texts, denoiser + work, vae + work])
    own = sizes.parts[sizes.denoiser]
    of_texts = [sizes.parts[part].largest_tensor * sizes.each[part] for part in sizes.texts]
    return max([(own.largest_block + own.outside) * sizes.each[sizes.denoiser], *of_texts]) + vae + work


def _of_host(sizes: Sizes, storage: str) -> int:
    """Bytes of the host while the model is read."""
    others = sum(sizes.bytes_of(part, AS_RUN) for part in sizes.parts if part != sizes.denoiser)
    return max(sizes.bytes_of(sizes.denoiser, AS_RUN), others + sizes.bytes_of(sizes.denoiser, storage))


def _says(sizes: Sizes, kind: str, placing: str, storage: str, tiled: bool) -> str:
    network = "U-Net" if sizes.denoiser == "unet" else "transformer"
    away = WAIT if kind == "cuda" else "are freed and read again"
    said = _PLACED[placing].format(network=network, away=away) if placing != ALL else ""
    stored = IN_FILE.get(sizes.parts[sizes.denoiser].precision, "")
    kept = {AS_IN_FILE: f"{network} kept in {stored} as in its file", FP8: f"{network} kept in fp8"}
    tiles = f"VAE in tiles of {TILE} pixels" if tiled else ""
    return "; ".join(filter(None, (said, kept.get(storage, ""), tiles)))


def _refused(name: str, least: int, available: int, asked: bool) -> str:
    enough = _enough(least)
    would = f"--memory {enough.replace(' ', '')} would do" if asked else f"a machine with {enough} free would do"
    return f"{name} does not fit: {_lacks(least, available)}; {would}."


def _refused_by_host(name: str, least: int, host: int) -> str:
    lacks = _lacks(least, SHARE * host, " of the host's memory while it is read")
    return f"{name} does not fit: {lacks}; a machine with {_enough(least)} free besides its GPU's would do."


def _lacks(least: float, available: float, where: str = "") -> str:
    """Rounded away from each other, so that too little never looks like enough."""
    there = gigabytes(_tenths(available, math.floor))
    return f"it needs at least {gigabytes(_tenths(least, math.ceil))}{where}, and {there} may be used"


def _enough(least: float) -> str:
    return gigabytes(_tenths(1.05 * least / SHARE, math.ceil))


def _tenths(size: float, rounded: Callable[[float], int]) -> float:
    """Bytes in whole tenths of the unit that `gigabytes` says them in."""
    tenth = 1e8 if size >= 1e8 else 1e5
    return rounded(size / tenth) * tenth


def gigabytes(size: float) -> str:
    """Bytes, for people."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
