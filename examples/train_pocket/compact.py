"""Training's averaged weights, small enough to lie in the repository until the next weights are shipped.

    python -m examples.train_pocket.compact  # training/unet.pt -> resume/*.safetensors, about 16 MB

Where there is no training/unet.pt, `unet` goes on from these. Matrices and convolutions are kept as whole numbers from
-127 to 127 with one scale for each row of an output channel, everything else in fp16: 16 MB instead of 32 in fp16 and
200 with the optimizers' state. They are for training to go on from, not for drawing; `export` ships fp16.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, safe_open, save_file
from torch import Tensor

from .scenes.things import HERE

FOLDER = HERE / "resume"
SMALL = 4096  # values up to which a tensor stays in fp16
SHARD = 9_000_000  # bytes
LEVELS = 127


def quantized(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Large tensors become NAME.int8 (rows, …) and NAME.scale (rows,) fp16, the others fp16."""
    small = {}
    for name, value in weights.items():
        if value.ndim < 2 or value.numel() <= SMALL:
            small[name] = value.detach().half().contiguous()
            continue
        rows = value.detach().flatten(1).float()
        scale = (rows.abs().amax(1) / LEVELS).clamp(min=1e-7).half()
        steps = (rows / scale.float()[:, None]).round().clamp(-LEVELS, LEVELS)
        small[f"{name}.int8"] = steps.to(torch.int8).view(value.shape).contiguous()
        small[f"{name}.scale"] = scale
    return small


def restored(small: dict[str, Tensor]) -> dict[str, Tensor]:
    """What `quantized` kept -> fp32 weights under their names"""
    weights = {}
    for name, value in small.items():
        if name.endswith(".int8"):
            scale = small[name.removesuffix("int8") + "scale"].float()
            weights[name.removesuffix(".int8")] = value.float() * scale.view(-1, *[1] * (value.ndim - 1))
        elif not name.endswith(".scale"):
            weights[name] = value.float()
    return weights


def write(weights: dict[str, Tensor], notes: dict, folder: Path = FOLDER) -> list[Path]:
    """Shards of at most 9 MB; `notes` (samples seen and what else is to be known) lie in each of them."""
    shards: list[dict[str, Tensor]] = [{}]
    for name, value in quantized(weights).items():
        if sum(v.nbytes for v in shards[-1].values()) + value.nbytes > SHARD:
            shards.append({})
        shards[-1][name] = value
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.safetensors"):
        old.unlink()
    paths = [folder / f"{i}.safetensors" for i in range(len(shards))]
    for path, shard in zip(paths, shards, strict=True):
        save_file(shard, path, {"notes": json.dumps(notes)})
        path.chmod(0o644)  # safetensors lets nobody else read what it writes
    return paths


def read(folder: Path = FOLDER) -> tuple[dict[str, Tensor], dict] | None:
    """-> weights in fp32 and the notes; None where there are none"""
    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        return None
    with safe_open(paths[0], "pt") as opened:
        notes = json.loads(opened.metadata()["notes"])
    return restored({name: value for path in paths for name, value in load_file(path).items()}), notes


def main() -> None:
    from .learning.networks import trained_model  # which reads what is written here
    from .learning.train import load_checkpoint

    state = load_checkpoint("unet")
    if state is None:
        raise SystemExit("There is no training/unet.pt to make small; run examples.train_pocket.unet first.")
    model, scaling_factor = trained_model(torch.device("cpu"))
    notes = {"samples": state["samples"], "seconds": state["seconds"], "scaling_factor": scaling_factor}
    paths = write(dict(model.named_parameters()), notes)
    print(f"{sum(path.stat().st_size for path in paths) / 1e6:.1f} MB in {len(paths)} files, {notes}")


if __name__ == "__main__":
    main()
