"""Train the contrastive towers that say how well a picture fits a prompt (CLIP, https://arxiv.org/abs/2103.00020).

    python -m examples.train_pocket.clip --minutes 30     # goes on from clip.pt or what is shipped; then measures
    python -m examples.train_pocket.clip --export         # writes playground/models/pocket/clip_image_encoder
    python -m examples.train_pocket.clip --minutes 3 --export     # both: after every further training of `unet`
    python -m examples.train_pocket.clip --minutes 10 --text tune # trains the text encoder too, for `text_tower`

The text tower is the model's own text encoder, locked (LiT, https://arxiv.org/abs/2111.07991), below one layer that is
trained; when the text encoder has moved since, the towers go on from where they were and align anew. With `--text tune`
the text encoder is trained as well and everything is kept in training/clip_tuned.pt, for comparison only.

Loss: the softmax cross-entropy of CLIP, in both directions, where each picture also meets near misses of every caption
in the batch (near_misses.py), and the labels of its cells (token_labels.py).
"""

import json
import random
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer, ResNetConfig, ResNetModel

from playground.measure.adherence import (
    CELLS,
    FOLDER,
    HEADS_FILE,
    SIDE,
    Adherence,
    ImageHead,
    TextHead,
    inside_text,
)

from .learning.networks import TextToNoise
from .learning.train import Average, Budget, Optimizers, arguments, device_and_threads, load_checkpoint, save_checkpoint
from .scenes.clip_scenes import Pictures
from .scenes.near_misses import meaning, true_and_nearly
from .scenes.scene import Scene
from .scenes.token_labels import CellLabels, labels
from .scoring.retrieval import measured
from .text import LENGTH, POCKET

CONFIG = dict(
    embedding_size=32,
    hidden_sizes=[32, 64, 128, 256],  # at 24, 12, 6 and 3 cells per side
    depths=[1, 1, 2, 1],
    layer_type="basic",
)
NEAR = 4  # near misses of each caption: hardly dearer than one, and without them relations stay a coin toss
LABELS_WEIGHT = 1.0
WARMEST = 100.0  # what cosines are multiplied by at most, as in CLIP


class Towers(nn.Module):
    """What is trained: the image tower, the text head, and the text encoder where it is not locked."""

    def __init__(self, text_encoder: CLIPTextModel | None) -> None:
        super().__init__()
        self.image_encoder = ResNetModel(ResNetConfig(**CONFIG)).to(memory_format=torch.channels_last)
        self.heads = nn.ModuleDict({"text": TextHead(), "image": ImageHead()})
        self.cell_labels = CellLabels(CONFIG["hidden_sizes"][-1])
        self.text_encoder = text_encoder

    def forward(self, pixels: Tensor, hidden: Tensor, words: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, 96, 96), (N, L, 192), (N, L), (M, 4) -> cosines over temperature (B, N), the labels' loss ()"""
        features = self.image_encoder(pixels).last_hidden_state
        pictures = F.normalize(self.heads["image"](features).float(), dim=-1)
        texts = F.normalize(self.heads["text"](hidden, words).float(), dim=-1)
        logits = self.heads["text"].logit_scale.exp().clamp(max=WARMEST) * pictures @ texts.T
        return logits, self.cell_labels(features, labelled)


def own_text_encoder() -> CLIPTextModel:
    """The text encoder as the U-Net's training has it now (its average), or else the shipped one."""
    if (state := load_checkpoint("unet")) is None:
        return CLIPTextModel.from_pretrained(POCKET / "text_encoder", dtype=torch.float32)
    model = TextToNoise(CLIPTokenizer.from_pretrained(POCKET / "tokenizer"))
    average = Average(model)
    average.load_state_dict(state["average"])
    average.copy_to(model)
    return model.text_encoder


def text_stamp(text_encoder: CLIPTextModel) -> str:
    """Equal for equal weights in fp16, so that a checkpoint's encoder and its exported one are known as the same."""
    return f"{sum(p.detach().cpu().half().double().abs().sum().item() for p in text_encoder.parameters()):.4f}"


def softened(pixels: Tensor) -> Tensor:
    """Blur, contrast, tint and noise in small random amounts, so that pictures a VAE decoded are read as well as real
    ones: (B, 3, H, W) in [-1, 1] -> the same shape and range. The colours keep their names."""

    def amount(low: float, high: float, channels: int = 1) -> Tensor:
        return low + (high - low) * torch.rand(len(pixels), channels, 1, 1, device=pixels.device)

    blurred = F.interpolate(F.avg_pool2d(pixels, 2), scale_factor=2, mode="bilinear")
    pixels = pixels + amount(0, 1) * (blurred - pixels)
    mean = pixels.mean((2, 3), keepdim=True)
    pixels = mean + (pixels - mean) * amount(0.8, 1.25) + amount(-0.06, 0.06, 3)
    return (pixels + amount(0, 0.06) * torch.randn_like(pixels)).clamp(-1, 1)


def same_meaning(scenes: list[Scene]) -> Tensor:
    """-> (n, n), True where two different scenes have the same true captions"""
    numbers: dict[tuple, int] = {}
    of = torch.tensor([numbers.setdefault(meaning(scene), len(numbers)) for scene in scenes])
    return (of[:, None] == of[None]) & ~torch.eye(len(scenes), dtype=torch.bool)


def load_shipped(towers: Towers) -> tuple[int, float]:
    """Take the shipped towers, all but the labels of cells, which are for training only -> samples, seconds so far."""
    towers.image_encoder.load_state_dict(ResNetModel.from_pretrained(POCKET / FOLDER, dtype=torch.float32).state_dict())
    heads = {key: value.float() for key, value in load_file(POCKET / FOLDER / HEADS_FILE).items()}
    towers.heads.load_state_dict(heads)
    report = json.loads((POCKET / "adherence.json").read_text())
    return report["samples_seen"], report["training_minutes"] * 60.0


class Batches:
    """Random pictures with their captions and near misses, worded anew each time."""

    def __init__(self, pictures: Pictures, tokenizer: CLIPTokenizer, device: torch.device, seed: int) -> None:
        self.pictures, self.tokenizer, self.device = pictures, tokenizer, device
        self.rng, self.order = random.Random(seed), []

    def rows(self, n: int) -> list[int]:
        while len(self.order) < n:  # every picture once before any a second time
            self.order += self.rng.sample(range(len(self.pictures.scenes)), len(self.pictures.scenes))
        chosen, self.order = self.order[:n], self.order[n:]
        return chosen

    def next(self, n: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """-> pixels (n, 3, 96, 96); token ids (N, L), the n true captions first; True where another picture's caption
        is true of a picture too (n, N); labels of cells (M, 4)"""
        rows = self.rows(n)
        scenes = [self.pictures.scenes[row] for row in rows]
        captions, wrong = [], []
        for scene in scenes:
            true, near = true_and_nearly(self.rng, scene, NEAR)
            captions.append(true)
            wrong += [text for _, text in near]
        ids = self.tokenizer(
            captions + wrong, padding="longest", max_length=LENGTH, truncation=True, return_tensors="pt"
        ).input_ids
        also_true = torch.zeros(n, len(ids), dtype=torch.bool)
        also_true[:, :n] = same_meaning(scenes)
        pixels = torch.from_numpy(self.pictures.of(rows)).to(self.device).permute(0, 3, 1, 2).float() / 127.5 - 1
        pixels = F.interpolate(softened(pixels), (SIDE, SIDE), mode="bicubic", antialias=True).clamp(-1, 1)
        labelled = labels(scenes, CELLS)
        return pixels, *(x.to(self.device) for x in (ids, also_true, labelled))


def contrastive_loss(logits: Tensor, also_true: Tensor) -> Tensor:
    """(B, N) with the right captions in the first B columns -> the mean of picture-to-text and text-to-picture."""
    right = torch.arange(len(logits), device=logits.device)
    logits = logits.masked_fill(also_true, -torch.inf)
    return (F.cross_entropy(logits, right) + F.cross_entropy(logits[:, : len(logits)].T, right)) / 2


def halved(module: nn.Module) -> nn.Module:
    """Rounded to fp16 as the files are, computing in fp32."""
    return module.half().float()


def averaged(state: dict, text_encoder: CLIPTextModel) -> Adherence:
    """The averaged weights of a checkpoint with a locked text encoder, as they are shipped."""
    towers = Towers(None)
    towers.load_state_dict(state["towers"])  # the normalizations' statistics, which have no average
    average = Average(towers)
    average.load_state_dict(state["average"])
    average.copy_to(towers)
    tokenizer = CLIPTokenizer.from_pretrained(POCKET / "tokenizer")
    return Adherence(
        tokenizer,
        text_encoder,
        halved(towers.heads["text"]),
        halved(towers.image_encoder),
        halved(towers.heads["image"]),
    )


def train(args, text_encoder: CLIPTextModel, device: torch.device) -> None:
    tune = args.text == "tune"
    name, tokenizer = "clip_tuned" if tune else "clip", CLIPTokenizer.from_pretrained(POCKET / "tokenizer")
    torch.manual_seed(args.seed)
    towers = Towers(text_encoder if tune else None).to(device)
    text_encoder.to(device).requires_grad_(tune)
    stamp = None if tune else text_stamp(text_encoder)
    samples, seconds, state = 0, 0.0, load_checkpoint(name)
    if state:
        towers.load_state_dict(state["towers"])
        samples, seconds = state["samples"], state["seconds"]
    elif tune and (locked := load_checkpoint("clip")):
        towers.load_state_dict(locked["towers"], strict=False)  # all but the text encoder, which is the model's own
    elif not tune and (POCKET / FOLDER).exists():
        samples, seconds = load_shipped(towers)
    optimizers = Optimizers(list(towers.named_parameters()), 1e-3 * args.lr, outer=("embedder", "cell_labels"))
    average = Average(towers, 0.998)
    if state:
        optimizers.load_state_dict(state["optimizers"])
        if state["text"] == stamp:  # otherwise the average begins anew, since it should follow the new text encoder
            average.load_state_dict(state["average"])
    batches = Batches(Pictures(args.scenes), tokenizer, device, args.seed + samples)

    def checkpoint(**more) -> dict:
        state = {"towers": towers.state_dict(), "average": average.state_dict(), "optimizers": optimizers.state_dict()}
        state |= {"samples": samples, "seconds": seconds + time.monotonic() - budget.start, "text": stamp, **more}
        save_checkpoint(name, state)
        return state

    budget, shown, saved, losses = Budget(args.minutes, args.cooldown), time.monotonic(), time.monotonic(), []
    for step, rate in budget:
        pixels, ids, also_true, labelled = batches.next(args.batch)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            with torch.set_grad_enabled(tune):
                hidden = text_encoder(ids).last_hidden_state
            logits, labels_loss = towers(pixels, hidden, inside_text(ids, tokenizer.eos_token_id), labelled)
        loss = contrastive_loss(logits.float(), also_true)
        (loss + LABELS_WEIGHT * labels_loss.float()).backward()
        nn.utils.clip_grad_norm_(towers.parameters(), 1.0)
        optimizers.step(rate)
        average.update(towers)
        samples += len(pixels)
        right = logits.argmax(1) == torch.arange(len(logits), device=device)
        losses.append(torch.stack([loss.detach(), labels_loss.detach().float(), right.float().mean()]))
        if step % 10 == 9:
            took, shown = time.monotonic() - shown, time.monotonic()
            mean, patches, first = torch.stack(losses[-10:]).mean(0).tolist()
            line = f"{step + 1} samples={samples} {10 * args.batch / took:.1f}/s loss={mean:.3f} labels={patches:.3f}"
            print(f"{line} right={first:.1%} of {len(ids)}", flush=True)
        if time.monotonic() - saved > 120:
            saved = time.monotonic()
            checkpoint()
    state = checkpoint()
    if not tune:
        report = measured(averaged(state, text_encoder.cpu()))
        checkpoint(retrieval=report)
        print(json.dumps(report, indent=2))


def export(shipped: CLIPTextModel) -> None:
    """Write the averaged towers in fp16, and what was measured with them to adherence.json."""
    state = load_checkpoint("clip")
    if state is None or "retrieval" not in state:
        raise SystemExit("There are no measured towers in training/clip.pt; run `clip --minutes 30` first.")
    if state["text"] != text_stamp(shipped):
        raise SystemExit(
            "The towers were aligned with another text encoder than the shipped one; "
            "run examples.train_pocket.export, then `clip --minutes 3 --export`."
        )
    towers, folder = averaged(state, shipped), POCKET / FOLDER
    folder.mkdir(exist_ok=True)
    towers.image_encoder.half().save_pretrained(folder)
    # The files are fp16 to be small; the config asks transformers for fp32, which is what runs on every CPU.
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"dtype": "float16"', '"dtype": "float32"'))
    heads = nn.ModuleDict({"text": towers.text_head, "image": towers.image_head}).half()
    save_file(heads.state_dict(), folder / HEADS_FILE)
    report = {
        "text_encoder": state["text"],
        "samples_seen": state["samples"],
        "training_minutes": round(state["seconds"] / 60),
        "retrieval": state["retrieval"],
    }
    (POCKET / "adherence.json").write_text(json.dumps(report, indent=2) + "\n")
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{size / 1e6:.2f} MB in {folder.relative_to(POCKET.parents[2])}")


def main() -> None:
    parser = arguments(__doc__, minutes=0, batch=64)
    parser.add_argument("--text", choices=("frozen", "tune"), default="frozen", help="train the text encoder too?")
    parser.add_argument("--scenes", type=int, default=18_000, help="drawn before the first step, if they are not there")
    parser.add_argument("--export", action="store_true", help="write the towers to the model's folder, after training")
    args = parser.parse_args()
    device = device_and_threads()
    if args.minutes:
        train(args, own_text_encoder(), device)
    if args.export:
        export(CLIPTextModel.from_pretrained(POCKET / "text_encoder", dtype=torch.float32))
    if not args.minutes and not args.export:
        parser.error("say --minutes N to train, --export to write the towers, or both.")


if __name__ == "__main__":
    main()
