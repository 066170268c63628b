"""Train the tiny preview decoder on the latents that it will be shown, and on what the VAE makes of them, at half size.

    python -m examples.train_pocket.preview --minutes 4     # after `export`; writes pocket/preview/decoder.safetensors

Half of what it learns from are encoded scenes. The other half are x̂₀ of runs of the shipped weights, at every step and
at several guidance scales: the first of them are like no scene's latents (with guidance they lie far outside), and what
a preview is for is when one can first tell what it will be.
"""

import itertools

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from torch import Tensor

from playground import Recipe, open_engine
from playground.engine import Done, Failed, Keep, LocalEngine, Step
from playground.models.running.preview import UPSAMPLE, PreviewDecoder

from .learning.train import Average, Budget, Optimizers, arguments, device_and_threads
from .scenes.scene import SIZE, draw
from .scenes.sprites import Sprites
from .scenes.stream import Scenes
from .text import POCKET

SCENES = 2048  # encoded scenes to learn from
RUNS = 192  # runs to learn from, of STEPS steps each
STEPS = 20
GUIDANCE = (1.0, 3.0, 5.0, 9.0, 12.0, 15.0)
SAMPLERS = ("dpmpp_2m", "ddim", "euler_a", "unipc")
BEYOND = 0.25  # how far outside [0, 1] the VAE's values still count: the preview clips there as the picture does
MEASURED = (1.0, 5.0, 12.0), 8  # guidance scales and prompts of the printed table
AT_ONCE = 32


@torch.no_grad()
def small(vae: AutoencoderKL, latents: Tensor) -> Tensor:
    """Scaled latents (n, 4, 16, 16) -> what the VAE makes of them, at half size: (n, 3, 64, 64), about [0, 1]"""
    pictures = [vae.decode(part / vae.config.scaling_factor).sample for part in latents.split(AT_ONCE)]
    return F.avg_pool2d((torch.cat(pictures) / 2 + 0.5).clamp(-BEYOND, 1 + BEYOND), SIZE // (16 * UPSAMPLE))


@torch.no_grad()
def scenes(vae: AutoencoderKL, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """n scenes -> scaled latents (n, 4, 16, 16) and the half-size renders (n, 3, 64, 64) in [0, 1]"""
    stream, sprites = iter(Scenes(seed)), Sprites()
    latents, shown = [], []
    for _ in range(0, n, AT_ONCE):
        drawn = [torch.from_numpy(draw(scene, sprites)) for scene, _ in itertools.islice(stream, AT_ONCE)]
        pictures = torch.stack(drawn).permute(0, 3, 1, 2).float() / 255
        latents.append(vae.encode(pictures * 2 - 1).latent_dist.mode() * vae.config.scaling_factor)
        shown.append(F.avg_pool2d(pictures, SIZE // (16 * UPSAMPLE)))
    return torch.cat(latents), torch.cat(shown)


def recipes(n: int, seed: int, guidance: tuple[float, ...], samplers: tuple[str, ...]) -> list[Recipe]:
    """n runs of prompts worded as in training, through all of these guidance scales and samplers in turn."""
    captions = itertools.islice((caption for _, caption in Scenes(seed)), n)
    return [
        Recipe(
            prompt=caption,
            sampler=samplers[i % len(samplers)],
            num_inference_steps=STEPS,
            guidance_scale=guidance[i % len(guidance)],
            seed=seed + i,
        )
        for i, caption in enumerate(captions)
    ]


def guesses(engine: LocalEngine, runs: list[Recipe]) -> Tensor:
    """-> x̂₀ at every step, and the end, of every run, scaled: (runs, STEPS + 1, 4, 16, 16)"""
    seen: list[list[Tensor]] = [[] for _ in runs]
    for first in range(0, len(runs), AT_ONCE):
        for event in engine.run(runs[first : first + AT_ONCE], previews=False, keep=Keep(latents=True)):
            if isinstance(event, Failed):
                raise RuntimeError(event.reason)
            if isinstance(event, Step):
                seen[first + event.cell].append(event.kept.x0.float())
            elif isinstance(event, Done):
                seen[first + event.cell].append(event.result.x0.float())
    return torch.stack([torch.cat(shots) for shots in seen])


@torch.no_grad()
def report(decoder: PreviewDecoder, vae: AutoencoderKL, engine: LocalEngine) -> None:
    """Print the PSNR of previews against the VAE, at each step of unseen runs."""
    scales, prompts = MEASURED
    for scale in scales:
        runs = guesses(engine, recipes(prompts, 9000, (scale,), ("dpmpp_2m",)))
        shots = runs.flatten(0, 1)
        error = (decoder(shots).clamp(0, 1) - small(vae, shots).clamp(0, 1)).square().mean((1, 2, 3))
        by_step = [f"{-10 * mean.log10():.1f}" for mean in error.unflatten(0, runs.shape[:2]).mean(0)]
        print(f"guidance {scale:g}, dB at steps 1 to {STEPS} and the end: {' '.join(by_step)}", flush=True)


def main() -> None:
    args = arguments(__doc__, minutes=4, batch=32).parse_args()
    device_and_threads()
    torch.manual_seed(args.seed)
    vae = AutoencoderKL.from_pretrained(POCKET / "vae").float().eval()
    engine = open_engine("pocket", torch.device("cpu"), torch.float32)
    scene_latents, renders = scenes(vae, SCENES, args.seed)
    shots = guesses(engine, recipes(RUNS, args.seed + 1, GUIDANCE, SAMPLERS)).flatten(0, 1)
    decoded = small(vae, shots)
    decoder = PreviewDecoder()
    path = POCKET / "preview" / "decoder.safetensors"
    if path.exists():
        decoder.load_state_dict({k: v.float() for k, v in load_file(path).items()})
    optimizers, average = Optimizers(list(decoder.named_parameters()), 2e-3 * args.lr), Average(decoder, 0.99)
    for step, rate in Budget(args.minutes, args.cooldown):
        of_scenes = torch.randint(len(scene_latents), (args.batch // 2,))
        of_runs = torch.randint(len(shots), (args.batch // 2,))
        latents = torch.cat([scene_latents[of_scenes], shots[of_runs]])
        loss = F.l1_loss(decoder(latents), torch.cat([renders[of_scenes], decoded[of_runs]]))
        loss.backward()
        optimizers.step(rate)
        average.update(decoder)
        if step % 200 == 199:
            print(f"{step + 1} l1={loss.item():.4f}", flush=True)
    average.copy_to(decoder)
    report(decoder, vae, engine)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.half().contiguous() for k, v in decoder.state_dict().items()}, path)


if __name__ == "__main__":
    main()
