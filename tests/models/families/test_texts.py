"""How much of a prompt each family's text encoders read: what is said to be cut off changes nothing, all else does."""

from collections.abc import Callable

import pytest
import torch
from diffusers import DiffusionPipeline

from playground import Sweep
from playground.engine import LocalEngine, Several
from playground.inside import walk
from playground.ui.compare.models import cut_elsewhere
from playground.ui.inside.boxes import diagram, remarks_on
from playground.ui.shared.known import marks, marks_of_lines
from tests.models.families.test_equal import plain
from tests.models.tiny_families import FAMILIES
from tests.reference import TOLERANCE, largest_difference

CLIP = 32  # tokens that the small one reads, two of them marks
TEXT, POOLED = "encoder_hidden_states", "pooled_projections"


def differ(engine: LocalEngine, a: str, b: str) -> set[str]:
    """What the network is told otherwise of two prompts; what is there for each token by CLIP and by T5 apart."""
    told = [dict(engine.model.encode(words)) for words in (a, b)]
    if engine.words(a).reader == "CLIP":
        told = [one | {TEXT: one[TEXT][:, :CLIP], "T5": one[TEXT][:, CLIP:]} for one in told]
    one, other = told
    return {n for n in one if one[n].shape != other[n].shape or not torch.allclose(one[n], other[n], atol=1e-5)}


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_prompt_is_cut_where_it_is_said(engine_of: Callable[[str], LocalEngine], kind: str) -> None:
    engine = engine_of(kind)
    one = "cat " if engine.words("").marks == 2 else "a"  # a token
    n = next(n for n in range(700) if engine.words(one * (n + 1)).truncated)
    full = one * n
    assert engine.words(full).needed == engine.words(full).limit == engine.facts.tokens
    assert TEXT in differ(engine, full, full[: -len(one)])
    besides = {"T5"} if engine.words("").reader == "CLIP" else set()
    assert differ(engine, full, full + 3 * one) == besides


@pytest.mark.parametrize("kind", FAMILIES)
def test_what_the_network_is_told_of_a_prompt_is_said(engine_of: Callable[[str], LocalEngine], kind: str) -> None:
    engine = engine_of(kind)
    recipe = engine.facts.usual.replace(prompt="cat", width=64, height=64)
    of_the_whole = [x for x in engine.model.encode("cat").values() if x.ndim == 2 and x.is_floating_point()]
    shown = diagram(engine.facts, engine.anatomy(64, 64), walk.begin(engine, recipe))
    learns = f"all that the {engine.facts.network} learns about the prompt."
    rows = "These rows, and one vector of the whole, are" if of_the_whole else "These rows are"
    assert f"{rows} {learns}" in shown


@pytest.mark.parametrize("kind", ["sd3-tiny", "flux-dev-tiny"])
def test_the_other_text_encoder_reads_what_is_said_besides(engine_of: Callable[[str], LocalEngine], kind: str) -> None:
    engine = engine_of(kind)
    reads, part = (256 - 1, "T5") if kind == "sd3-tiny" else (CLIP - 2, POOLED)
    assert f"reads up to {256 if part == 'T5' else CLIP} tokens of its own" in engine.words("").besides
    less, full, more = ("cat " * n for n in (reads - 1, reads, reads + 1))
    assert part in differ(engine, full, less) and part not in differ(engine, full, more)


def test_a_long_prompt_draws_the_pipelines_own_picture(
    engine_of: Callable[[str], LocalEngine], pipeline_of: Callable[[str], DiffusionPipeline]
) -> None:
    """Also of a family whose pipeline reads less than its `encode_prompt` alone would."""
    for kind in ("qwen-image-tiny", "sd3-tiny"):
        engine = engine_of(kind)
        recipe = engine.facts.usual.replace(prompt="a b " * 249, num_inference_steps=2, width=64, height=64)
        assert engine.words(recipe.prompt).truncated
        expected = plain(pipeline_of(kind), recipe)
        assert largest_difference(engine.render(recipe), expected) <= TOLERANCE


def test_what_is_cut_off_is_said_of_its_reader(
    engine_of: Callable[[str], LocalEngine], engines: dict[str, LocalEngine]
) -> None:
    long, t5 = "cat " * 40, "T5 reads up to 256 tokens of its own."
    sd15, sd3 = engines["sd15-tiny"], engine_of("sd3-tiny")
    cut = sd3.words(long)
    said, of_lines = marks(long, cut, None), marks_of_lines([long], [cut], None)
    assert (
        "Cut off, because CLIP reads 32 tokens and this takes 42:" in said and f"</mark> and 2 more. {t5}</p>" in said
    )
    assert "It is cut off, because CLIP reads 32 tokens:" in of_lines and f"</mark> and 2 more. {t5}</p>" in of_lines
    assert "Cut off, so CLIP does not see it: cat" in remarks_on(cut)[1]
    assert remarks_on(cut)[2] == f"These are the tokens of CLIP. {t5}"
    assert "These are the tokens of T5. CLIP reads up to 32" in remarks_on(engine_of("flux-dev-tiny").words("cat"))[1]
    both = Sweep(sd15.facts.usual, {"model": ["sd15-tiny", "sd3-tiny"]})
    beside = cut_elsewhere(Several(sd15, {"sd3-tiny": sd3}), long, both)
    assert f">With sd3-tiny CLIP reads 32 tokens, and this takes 42. {t5}</p>" in beside
    alone = sd15.words(long)
    assert "because the model reads 32 tokens" in (said := marks(long, alone, None)) and said.endswith(" 2 more.</p>")
    assert "so the model does not see it" in remarks_on(alone)[1] and len(remarks_on(alone)) == 2
