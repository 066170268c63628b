"""Train the autoencoder: pictures (B, 3, 128, 128) in [-1, 1] <-> latents (B, 4, 16, 16).

    python -m examples.train_pocket.vae --minutes 30  # goes on from training/vae.pt or the shipped ones
    python -m examples.train_pocket.vae --minutes 20 --decoder-only  # latents stay as they are, pictures get better

Mean squared error and a light pull of the latents towards N(0, 1) (Kingma & Welling 2013,
https://arxiv.org/abs/1312.6114). Crops come first because they are cheap, whole pictures last because the shipped
model sees whole pictures. The decoder alone learns from whole pictures only and from the means of the posteriors, which
the U-Net learned to draw, and by the logarithm of each picture's error: every picture's PSNR counts alike.
"""

import random
import time

import numpy as np
import torch
from diffusers import AutoencoderKL

from .learning.pool import MARGIN, Pool
from .learning.train import (
    Average,
    Budget,
    Optimizers,
    arguments,
    device_and_threads,
    has_bf16,
    load_checkpoint,
    save_checkpoint,
)
from .scenes.colours import BACKGROUNDS, HUES, recoloured
from .scenes.scene import SIZE, Part, compose, copy_places, random_scene
from .scenes.sprites import Sprites
from .scenes.things import STYLES, reconstruction_only
from .text import POCKET

CONFIG = dict(
    block_out_channels=(16, 32, 96, 128),
    layers_per_block=1,
    latent_channels=4,
    down_block_types=("DownEncoderBlock2D",) * 4,
    up_block_types=("UpDecoderBlock2D",) * 4,
    norm_num_groups=4,  # few groups: a group of one channel would forget its mean, the colour
    sample_size=SIZE,
)
KL_WEIGHT = 5e-5  # per latent value, against the mean squared error in [-1, 1]
CROP = 64
POOL = 16_384  # pictures kept on a card: 0.8 GB
SMALL = 1 / 6  # share of the pictures with two to four small sprites
TONED = 0.06  # share of the sprites with a skin tone: all of them would make a third of the pictures people


class AnySprite:
    """Random scenes of any stored sprite whose code passes `keep`, things with a name or not, in all styles."""

    def __init__(self, keep, seed: int, styles: tuple[str, ...] = STYLES) -> None:
        self.rng, self.sprites = random.Random(seed), Sprites()
        kept = [(style, code) for style in styles for code in self.sprites.codes[style] if keep(code)]
        self.base = [chosen for chosen in kept if "+" not in chosen[1]]
        self.toned = [chosen for chosen in kept if "+" in chosen[1]]

    def sprite(self) -> np.ndarray:
        shown = self.toned if self.rng.random() < TONED else self.base
        return self.sprites.named(*self.rng.choice(shown))

    def picture(self) -> np.ndarray:
        """-> (128, 128, 3) uint8: one large sprite, or, in one of six, two to four small ones"""
        background = self.rng.choice(list(BACKGROUNDS))
        if self.rng.random() > SMALL:
            return compose(background, [(self.sprite(), random_scene(self.rng, 0, background).parts[0])])
        n, sprites = self.rng.randint(2, 4), [self.sprite(), self.sprite()]
        if self.rng.random() < 0.3:
            sprites[0] = recoloured(sprites[0], self.rng.choice(HUES))
        parts = [Part(0, *place, self.rng.random() < 0.2) for place in copy_places(self.rng, n)]
        return compose(background, [(sprites[i % 2 if n == 2 else 0], part) for i, part in enumerate(parts)])

    def batch(self, n: int, crop: int) -> torch.Tensor:
        """-> (n, 3, crop, crop) in [-1, 1]"""
        pictures = np.empty((n, crop, crop, 3), np.uint8)
        for i in range(n):
            whole = self.picture()
            y, x = (self.rng.randint(min(MARGIN, SIZE - crop), max(SIZE - crop - MARGIN, 0)) for _ in range(2))
            pictures[i] = whole[y : y + crop, x : x + crop]
        return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def trained_vae(device: torch.device) -> AutoencoderKL:
    """The averaged weights of training/vae.pt, or else the shipped autoencoder."""
    if state := load_checkpoint("vae"):
        vae = AutoencoderKL(**CONFIG)
        average = Average(vae)
        average.load_state_dict(state["average"])
        average.copy_to(vae)
    else:
        vae = AutoencoderKL.from_pretrained(POCKET / "vae")
    return vae.to(device, memory_format=torch.channels_last).eval()


@torch.no_grad()
def psnr(vae: AutoencoderKL, pictures: torch.Tensor) -> float:
    """Mean over pictures of 10·log10(1 / MSE) with values in [0, 1], dB."""
    out = torch.cat([vae.decode(vae.encode(p).latent_dist.mode()).sample.clamp(-1, 1) for p in pictures.split(16)])
    mse = ((out - pictures) / 2).square().mean((1, 2, 3))
    return (10 * torch.log10(1 / mse)).mean().item()


def unseen_pictures(n: int = 96, styles: tuple[str, ...] = STYLES) -> torch.Tensor:
    """Whole scenes of sprites the autoencoder never trains on; the same on every call."""
    return AnySprite(reconstruction_only, 1, styles).batch(n, SIZE)


def main() -> None:
    parser = arguments(__doc__, minutes=30, batch=8)
    parser.add_argument("--decoder-only", action="store_true", help="keep the latents, train what draws them")
    parser.add_argument("--whole-from", type=float, default=0.6, help="share of the budget after which crops end")
    args = parser.parse_args()
    device = device_and_threads()
    torch.manual_seed(args.seed)
    vae = AutoencoderKL(**CONFIG).to(device, memory_format=torch.channels_last)
    torch.nn.init.constant_(vae.quant_conv.bias[4:], -6.0)  # little noise at first, so the decoder sees a signal
    state = load_checkpoint("vae")
    if state:
        vae.load_state_dict(state["vae"])
    elif (POCKET / "vae" / "config.json").exists():
        vae.load_state_dict(AutoencoderKL.from_pretrained(POCKET / "vae").state_dict())
    if args.decoder_only:
        vae.encoder.requires_grad_(False)
        vae.quant_conv.requires_grad_(False)
    trained = [(n, p) for n, p in vae.named_parameters() if p.requires_grad]
    optimizers = Optimizers(trained, 1e-3 * args.lr, outer=("conv_in", "conv_out", "quant_conv"))
    average, samples, seconds = Average(vae, 0.998), 0, 0.0
    if state:
        average.load_state_dict(state["average"])
        samples, seconds = state["samples"], state["seconds"]
        if state["decoder_only"] == args.decoder_only:
            optimizers.load_state_dict(state["optimizers"])
    if state and args.decoder_only:  # the average goes on from itself, so that the encoder in it stays exactly the same
        average.copy_to(vae)
    data: AnySprite | Pool = AnySprite(lambda c: not reconstruction_only(c), seed=args.seed + samples)
    if device.type == "cuda":  # which is much faster than drawing
        data = Pool(data.picture, POOL, device, args.seed + samples)

    def checkpoint() -> None:
        state = {"vae": vae.state_dict(), "average": average.state_dict(), "optimizers": optimizers.state_dict()}
        state |= {"samples": samples, "seconds": seconds + time.monotonic() - budget.start}
        save_checkpoint("vae", state | {"decoder_only": args.decoder_only})

    budget, shown, saved, losses = Budget(args.minutes, args.cooldown, 20), time.monotonic(), time.monotonic(), []
    for step, rate in budget:
        whole = args.decoder_only or budget.used() > args.whole_from
        crop, n = (SIZE, max(4, args.batch // 4)) if whole else (CROP, args.batch)
        pictures = data.batch(n, crop).to(device, memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=has_bf16(device)):
            posterior = vae.encode(pictures).latent_dist
            out = vae.decode(posterior.mode() if args.decoder_only else posterior.sample()).sample
        errors = (out.float() - pictures).square().mean((1, 2, 3))  # (n,)
        mse, kl = errors.mean(), posterior.kl().mean() / posterior.mean[0].numel()
        (errors.log().mean() if args.decoder_only else mse + KL_WEIGHT * kl).backward()
        optimizers.step(rate)
        average.update(vae)
        samples += n
        losses.append((mse.item(), kl.item()))
        if step % 50 == 49:
            took, shown = time.monotonic() - shown, time.monotonic()
            m, k = np.mean(losses[-50:], axis=0)
            print(f"{step + 1} samples={samples} {50 * n / took:.1f}/s crop={crop} mse={m:.5f} kl={k:.2f}", flush=True)
        if time.monotonic() - saved > 180:
            saved = time.monotonic()
            checkpoint()
    checkpoint()
    average.copy_to(vae)
    vae.eval()
    for styles in (STYLES, *((style,) for style in STYLES)):
        unseen = unseen_pictures(64, styles).to(device)
        print(f"PSNR on unseen sprites, {', '.join(styles)}: {psnr(vae, unseen):.2f} dB, samples {samples}")


if __name__ == "__main__":
    main()
