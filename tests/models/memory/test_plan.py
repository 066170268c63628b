"""Sizes and free bytes -> a plan, as plain data; and what sizes are read of a model's files."""

import re
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderDC, AutoencoderKL, AutoencoderKLQwenImage
from torch.profiler import ProfilerActivity, profile

from playground.command.checks import check_memory
from playground.models import REGISTERED
from playground.models.loading import planned
from playground.models.running import plan as plans
from playground.models.running.plan import (
    ALL,
    AS_IN_FILE,
    AS_RUN,
    BLOCKS,
    FP8,
    LAYERS,
    ONE_PART,
    SHARE,
    TEXTS_LEAVE,
    Sizes,
    plan,
    plan_whole,
)
from playground.models.running.text_cache import TextCache
from playground.refusal import Refusal
from playground.sources.weights import PartWeights, weights_of
from tests.models.tiny_families import build_family

GB, M = 10**9, 10**6


def kl() -> tuple[AutoencoderKL, torch.Tensor]:
    return AutoencoderKL(
        block_out_channels=(48, 96, 192, 192), layers_per_block=2, norm_num_groups=8,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    ), torch.randn(1, 4, 32, 32)  # fmt: skip


def dc() -> tuple[AutoencoderDC, torch.Tensor]:
    blocks = {f"{side}_{what}": value for side in ("encoder", "decoder") for what, value in {
        "block_types": ("ResBlock",) * 3 + ("EfficientViTBlock",) * 3, "layers_per_block": (3,) * 6,
        "block_out_channels": (48, 96, 192, 192, 384, 384), "qkv_multiscales": ((),) * 3 + ((5,),) * 3,
    }.items()}  # fmt: skip
    return AutoencoderDC(latent_channels=32, **blocks), torch.randn(1, 32, 8, 8)


def in_three_dimensions() -> tuple[AutoencoderKLQwenImage, torch.Tensor]:
    return AutoencoderKLQwenImage(base_dim=48), torch.randn(1, 16, 1, 32, 32)


def part(numbers: int, block: int, precision: str = "BF16") -> PartWeights:
    return PartWeights(numbers, 2 * numbers, precision, numbers, block, numbers // 50, block)


# about as large as those that are published, in the precision that is used
FLUX = Sizes(
    {
        "text_encoder": part(123 * M, 7 * M),
        "text_encoder_2": part(4762 * M, 193 * M),
        "transformer": part(11_901 * M, 340 * M),
        "vae": part(84 * M, 20 * M),
    },
    "transformer", {"text_encoder": 2, "text_encoder_2": 2, "transformer": 2, "vae": 4}, 1024, 128,
)  # fmt: skip
SDXL_ON_A_CPU = Sizes(
    {
        "text_encoder": part(123 * M, 7 * M, "F16"),
        "text_encoder_2": part(695 * M, 20 * M, "F16"),
        "unet": part(2567 * M, 900 * M, "F16"),
        "vae": part(84 * M, 20 * M, "F16"),
    },
    "unet", {"text_encoder": 4, "text_encoder_2": 4, "unet": 4, "vae": 4}, 1024, 128,
)  # fmt: skip


@pytest.mark.parametrize(
    ("free", "host", "expected"),
    [
        (80 * GB, 64 * GB, (ALL, AS_RUN, False)),
        (34 * GB, 64 * GB, (TEXTS_LEAVE, AS_RUN, False)),  # transformer, VAE and its work: 28.5
        (31.5 * GB, 64 * GB, (ONE_PART, AS_RUN, False)),
        (24 * GB, 64 * GB, (BLOCKS, AS_RUN, False)),
        (4 * GB, 64 * GB, (BLOCKS, AS_RUN, True)),  # a whole decoding takes 4.3
        (24 * GB, 30 * GB, (TEXTS_LEAVE, FP8, False)),  # the host has no room for all of it in 16 bits
    ],
)
def test_a_card_keeps_what_it_can_and_pictures_stay_as_long_as_they_can(
    free: float, host: float, expected: tuple[str, str, bool]
) -> None:
    found = plan("flux", FLUX, "cuda", int(free), int(host))
    assert (found.placing, found.storage, found.tiled) == expected
    assert found.needs <= found.available <= free and bool(found.says) == (expected != (ALL, AS_RUN, False))
    assert bool(found.changes) == (expected[1] == FP8 or expected[2])


@pytest.mark.parametrize(
    ("free", "expected", "converts"),
    [
        (40 * GB, (ALL, AS_RUN, False), True),
        (21 * GB, (ALL, AS_RUN, False), False),  # no room for OpenVINO's copies
        (16 * GB, (ALL, AS_IN_FILE, False), False),
        (11 * GB, (TEXTS_LEAVE, AS_IN_FILE, False), False),
        (7.1 * GB, (ONE_PART, AS_IN_FILE, True), False),
        (6 * GB, (TEXTS_LEAVE, FP8, True), False),
    ],
)
def test_a_cpu_keeps_layers_as_their_file_has_them_before_it_frees_anything(
    free: float, expected: tuple[str, str, bool], converts: bool
) -> None:
    found = plan("sdxl", SDXL_ON_A_CPU, "cpu", 64 * GB, 64 * GB, int(free))
    assert (found.placing, found.storage, found.tiled, found.converts) == (*expected, converts)


def test_what_does_not_fit_says_what_would() -> None:
    with pytest.raises(Refusal) as refused:
        plan("sdxl", SDXL_ON_A_CPU, "cpu", 64 * GB, 64 * GB, 3 * GB)
    sentence = str(refused.value)
    assert sentence.startswith("sdxl does not fit: it needs at least 3.7 GB, and 2.7 GB may be used; --memory ")
    enough = check_memory(sentence.split()[-3])
    assert plan("sdxl", SDXL_ON_A_CPU, "cpu", 64 * GB, 64 * GB, enough).needs <= SHARE * enough
    with pytest.raises(Refusal, match=r"a machine with \d\.\d GB free would do\.$"):
        plan("sdxl", SDXL_ON_A_CPU, "cpu", 2 * GB, 2 * GB)


@pytest.mark.parametrize("millions", [1, 89, 205])
def test_what_would_do_does_and_what_lacks_is_less_than_what_is_needed(millions: int) -> None:
    """Also of models of some 0.1 GB, of which a tenth of a GB is a large part, and of limits that are nearly enough."""
    parts = {name: part(millions * M // share, M // 20, "F32") for name, share in (("unet", 1), ("vae", 10))}
    sizes, limit, sentences = Sizes(parts, "unet", {"unet": 4, "vae": 4}, 64, 8), M // 2, []
    given = ("it", sizes, "cpu", 64 * GB, 64 * GB)
    while not sentences or sentences[-1]:
        sentences.append(refusal(plan, *given, limit))
        limit = int(1.02 * limit)
    assert len(sentences) > 20
    for sentence in sentences[:-1]:
        needed, there = (float(n) * {"G": GB, "M": M}[unit] for n, unit in re.findall(r"([\d.]+) ([GM])B", sentence))
        assert there < needed, sentence
        enough = check_memory(sentence.split()[-3])
        assert not refusal(plan, *given, enough), sentence


def refusal(ask: Callable[..., Any], *given: Any) -> str:
    try:
        ask(*given)
    except Refusal as refused:
        return str(refused)
    return ""


def test_it_is_said_where_the_host_has_no_room_and_not_the_gpu() -> None:
    for ask in (
        lambda host: plan("flux", FLUX, "cuda", 80 * GB, host),
        lambda host: plan_whole("flux", FLUX.parts, 2, 4 * GB, True, "cuda", 80 * GB, host),
    ):
        said = refusal(ask, 16 * GB)
        assert re.match(r"flux does not fit: it needs at least .* GB of the host's memory .* and 14\.4 GB may", said)
        assert not refusal(ask, int(float(said.split()[-8]) * GB))


@pytest.mark.parametrize(
    ("kind", "free", "by_parts", "expected"),
    [
        ("cuda", 48 * GB, True, ALL),
        ("cuda", 36 * GB, True, ONE_PART),
        ("cuda", 36 * GB, False, LAYERS),
        ("cuda", 12 * GB, True, LAYERS),
        ("cpu", 48 * GB, True, ALL),
    ],
)
def test_a_pipeline_of_its_own_is_shared_as_diffusers_can(kind: str, free: int, by_parts: bool, expected: str) -> None:
    found = plan_whole("it", FLUX.parts, 2, 4 * GB, by_parts, kind, free, 64 * GB)
    assert found.placing == expected and found.needs <= found.available <= free
    assert bool(found.says) == (expected != ALL) and "{" not in found.says and not found.changes
    for little, of_host in ((5 * GB, 64 * GB), (36 * GB, 8 * GB)):
        with pytest.raises(Refusal, match="^it does not fit: it needs at least "):
            plan_whole("it", FLUX.parts, 2, 4 * GB, by_parts, "cuda", little - 10**9, of_host)


def test_a_size_is_read_or_refused() -> None:
    assert [check_memory(text) for text in ("8GB", "1.5 gib", "900MB", None)] == [8 * GB, 3 * 2**29, 900 * M, None]
    for wrong in ("8", "GB", "-8GB", "0GB", "8TB", "nanGB", "8GBs"):
        with pytest.raises(Refusal, match="^--memory needs a size such as 8GB, 8GiB or 900MB, not "):
            check_memory(wrong)


def test_weights_are_counted_from_headers_alone(folders: dict[str, Path]) -> None:
    found = weights_of(REGISTERED["pocket"])
    assert found["unet"].precision == "F16" and found["unet"].stored == 2 * found["unet"].numbers
    assert found["unet"].largest_block < found["unet"].numbers / 2
    tiny = weights_of(folders["sd15-tiny"])
    assert set(tiny) == {"unet", "vae", "text_encoder"} and tiny["unet"].bytes_in(4) == tiny["unet"].stored


def test_texts_are_kept_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[str] = []

    def encode(words: str, negative: bool = False) -> dict[str, torch.Tensor]:
        encoded.append(words)
        return {"text": torch.zeros(len(words), 4)}  # 16 bytes a letter

    cache = TextCache(encode, most=160)
    for words in ("aaaa", "bbbb", "aaaa", "cc", "dd", "aaaa", "b" * 11):
        cache(words)
    assert encoded == ["aaaa", "bbbb", "cc", "dd", "b" * 11]  # the last is larger than all that is kept
    assert cache.bytes <= 160 and len(cache) == 3
    cache("bbbb")
    cache("aaaa", negative=True)
    assert encoded[-2:] == ["bbbb", "aaaa"] and cache.bytes <= 160


@pytest.mark.parametrize(
    ("kind", "side", "width", "holds"),
    [
        ("sdxl-tiny", 64, 8, 8),
        ("flux2-klein-tiny", 64, 8, 8),
        ("sana-tiny", 1024, 8, 5),  # whose VAE says no size
        ("qwen-image-tiny", 1024, 8, 22),
    ],
)
def test_what_decoding_holds_is_counted_for_each_kind_of_vae(
    kind: str, side: int, width: int, holds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned_for = []
    monkeypatch.setattr(plans, "plan", lambda _name, sizes, *_: planned_for.append(sizes) or plans.EVERYTHING)
    planned(kind, build_family(kind, tmp_path), torch.device("cpu"), torch.float32, torch.float32)
    assert planned_for[0].decoding(tiled=False) == 4 * holds * side**2 * width


@pytest.mark.parametrize("build", [kl, dc, in_three_dimensions])
def test_a_vae_holds_as_much_as_is_counted(build: Callable[[], tuple[Any, torch.Tensor]]) -> None:
    """Decoders of the published shapes, 48 numbers wide: the peak of what PyTorch allocates on a CPU."""
    vae, latents = build()
    with torch.inference_mode(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        vae.eval().decode(latents, return_dict=False)
    told = [(e.start_ns(), e.nbytes()) for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
    peak = max(accumulate(size for _, size in sorted(told)))
    counted = plans.OTHERS_HOLD.get(type(vae).__name__, plans.DECODER_HOLDS) * 4 * 256**2 * 48
    assert 0.8 * counted < peak <= counted
