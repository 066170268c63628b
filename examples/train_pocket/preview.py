"""Train the tiny preview decoder on the VAE's latents and the pictures they came from, at half size.

    python -m examples.train_pocket.preview --minutes 3     # writes pocket/preview/decoder.safetensors

Some noise is added to the latents, because a preview shows x̂₀ long before it is clean.
"""

import itertools

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from playground.models.running.preview import UPSAMPLE, PreviewDecoder

from .learning.train import Average, Budget, Optimizers, arguments, device_and_threads, load_checkpoint
from .scenes.scene import SIZE, draw
from .scenes.sprites import Sprites
from .scenes.stream import Scenes
from .text import POCKET
from .vae import trained_vae


@torch.no_grad()
def pairs(vae, scaling_factor: float, n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """n scenes -> scaled latents (n, 4, 16, 16) and half-size pictures (n, 3, 64, 64) in [0, 1]"""
    stream, sprites = iter(Scenes(seed)), Sprites()
    latents, small = [], []
    for _ in range(0, n, 32):
        pictures = torch.stack([torch.from_numpy(draw(scene, sprites)) for scene, _ in itertools.islice(stream, 32)])
        pictures = pictures.permute(0, 3, 1, 2).float() / 255
        latents.append(vae.encode(pictures * 2 - 1).latent_dist.mode() * scaling_factor)
        small.append(F.avg_pool2d(pictures, SIZE // (16 * UPSAMPLE)))
    return torch.cat(latents), torch.cat(small)


def main() -> None:
    args = arguments(__doc__, minutes=3, batch=32).parse_args()
    device_and_threads()
    torch.manual_seed(args.seed)
    vae, state = trained_vae(torch.device("cpu")), load_checkpoint("unet")
    scaling_factor = state["scaling_factor"] if state else vae.config.scaling_factor
    latents, pictures = pairs(vae, scaling_factor, 2048, args.seed)
    decoder = PreviewDecoder()
    path = POCKET / "preview" / "decoder.safetensors"
    if path.exists():
        decoder.load_state_dict({k: v.float() for k, v in load_file(path).items()})
    optimizers, average = Optimizers(list(decoder.named_parameters()), 2e-3 * args.lr), Average(decoder, 0.99)
    for step, rate in Budget(args.minutes, args.cooldown):
        rows = torch.randint(len(latents), (args.batch,))
        noise = torch.randn(args.batch, 4, 16, 16) * 0.3 * torch.rand(args.batch, 1, 1, 1)
        loss = F.l1_loss(decoder(latents[rows] + noise), pictures[rows])
        loss.backward()
        optimizers.step(rate)
        average.update(decoder)
        if step % 200 == 199:
            print(f"{step + 1} l1={loss.item():.4f}", flush=True)
    average.copy_to(decoder)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.half().contiguous() for k, v in decoder.state_dict().items()}, path)


if __name__ == "__main__":
    main()
