"""What a family's model is to everybody who does not call it: its Facts, put together from what the family says."""

from pathlib import Path
from typing import TYPE_CHECKING

from playground.models.facts import Facts
from playground.models.folder import described, fingerprint, licence
from playground.models.running.plan import Plan
from playground.refusal import Refusal
from playground.schedule import is_flow

if TYPE_CHECKING:
    from playground.models.families.base import Family


def facts_of(family: "Family", name: str, folder: Path, plan: Plan) -> Facts:
    """Of a model whose parts, LoRAs and preview decoder are there. `folder`: where it was read; `plan`: how it shares
    memory. Raises Refusal for a schedule that the family's pipeline was not made for."""
    pipeline = family.pipeline
    kind = type(pipeline.scheduler).__name__
    schedule = family.schedule(dict(pipeline.scheduler.config), kind)
    if is_flow(schedule) and not family.flows:
        raise Refusal(f"{name} cannot be run here: its {kind} is for flow matching, which {family.title} is not.")
    changes, dtype = [*family.changes, *plan.changes], str(family.dtype)
    parts = (*family.text_encoders, family.network, family.vae)
    return Facts(
        name=name,
        family=family.title,
        fingerprint=fingerprint(folder, [dtype, *changes] if changes else dtype),
        parameters=sum(p.numel() for part in parts for p in part.parameters()),
        device=family.device.type,
        precision=family.says_precision,
        memory=plan.says,
        schedule=schedule,
        channels=family.channels,
        scale=family.scale,
        multiple=family.multiple,
        usual=family.usual(name, schedule),
        samplers=family.samplers(schedule),
        loras=family.lora_files.digests,
        adapters=family.lora_files.adapters,
        loads_loras=hasattr(pipeline, "load_lora_weights"),
        left_out=family.lora_files.left_out,
        guidance=family.guidance(schedule),
        network="U-Net" if family.denoiser == "unet" else "transformer",
        cfg=family.cfg,
        guided_above=family.guided_above,
        call=family.call,
        own_negative=family.own_negative,
        quick_previews=family.preview_decoder is not None,
        no_attention=family.no_attention,
        no_start=family.no_start,
        rescales=family.rescales,
        rescales_starts=family.rescales_starts,
        tokens=family.tokens,
        pooled=family.pooled,
        clip_skips=family.clip_skips,
        reads_weights=family.reads_weights,
        licence=licence(folder),
        card=described(folder),
        one_file=type(pipeline).__name__ if folder.is_file() else "",
        folder=str(folder),
    )
