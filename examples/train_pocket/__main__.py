"""The whole recipe as one command: every stage with its own budget, each going on from its checkpoint.

    python -m examples.train_pocket                              # everything, with the minutes below
    python -m examples.train_pocket --minutes unet=300 vae=60    # other budgets
    python -m examples.train_pocket --first unet --last export   # a part of it
    python -m examples.train_pocket --list                       # what would run

The stages are the same on a CPU and on a CUDA card, where batches are larger. A stage that fails stops the recipe.
"""

import argparse
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass

import torch

PACKAGE = "examples.train_pocket"


@dataclass(frozen=True)
class Stage:
    """One script of this folder, or of the one above."""

    name: str
    module: str
    minutes: float | None = None  # budget, for the stages that train
    card_batch: int | None = None  # batch size on a CUDA card, where the script's own is for a CPU
    extra: tuple[str, ...] = ()

    def command(self, minutes: float | None, card: bool) -> list[str]:
        parts = [sys.executable, "-m", self.module, *self.extra]
        if minutes is not None:
            parts += ["--minutes", f"{minutes:g}"]
        if card and self.card_batch:
            parts += ["--batch", str(self.card_batch)]
        return parts


STAGES = (
    Stage("data", f"{PACKAGE}.data"),
    Stage("judge", f"{PACKAGE}.judge", 15, 256),
    Stage("vae", f"{PACKAGE}.vae", 30, 256),
    Stage("latents", f"{PACKAGE}.latents"),
    Stage("unet", f"{PACKAGE}.unet", 100, 1024),
    Stage("lcm", f"{PACKAGE}.lcm", 20, 512),
    Stage("pixel_art", f"{PACKAGE}.lora", 6, 256, ("--style", "pixel_art")),
    Stage("ink_outline", f"{PACKAGE}.lora", 6, 256, ("--style", "ink_outline")),
    Stage("export", f"{PACKAGE}.export"),
    Stage("clip", f"{PACKAGE}.clip", 12, 1024, ("--export",)),
    Stage("knows", f"{PACKAGE}.knows"),
    Stage("preview", f"{PACKAGE}.preview", 4, 256),
    Stage("first_view", "examples.render_first_view"),
    Stage("evaluate", f"{PACKAGE}.evaluate"),
)
NAMES = [stage.name for stage in STAGES]


def budget(text: str) -> tuple[str, float]:
    """ "unet=300" -> ("unet", 300.0), for a stage that has a budget"""
    name, _, minutes = text.partition("=")
    if name not in {stage.name for stage in STAGES if stage.minutes is not None}:
        raise argparse.ArgumentTypeError(f"{name!r} is not a stage that trains")
    try:
        value = float(minutes)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e5:
        raise argparse.ArgumentTypeError(f"{minutes!r} is not a number of minutes")
    return name, value


def commands(first: str, last: str, minutes: dict[str, float], card: bool) -> list[tuple[str, list[str]]]:
    """(stage, command line) of the stages from `first` to `last`, both included"""
    chosen = STAGES[NAMES.index(first) : NAMES.index(last) + 1]
    return [(stage.name, stage.command(minutes.get(stage.name, stage.minutes), card)) for stage in chosen]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog=f"python -m {PACKAGE}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=budget, nargs="+", default=[], metavar="STAGE=MINUTES")
    parser.add_argument("--first", choices=NAMES, default=NAMES[0])
    parser.add_argument("--last", choices=NAMES, default=NAMES[-1])
    parser.add_argument("--list", action="store_true", help="print the commands and stop")
    args = parser.parse_args()
    for name, command in commands(args.first, args.last, dict(args.minutes), torch.cuda.is_available()):
        print(f"== {name}: {shlex.join(['python', *command[1:]])}", flush=True)
        if not args.list:
            start = time.monotonic()
            if code := subprocess.run(command).returncode:
                raise SystemExit(f"{name} ended with code {code}; the stages after it were not run.")
            print(f"== {name} took {(time.monotonic() - start) / 60:.1f} minutes", flush=True)


if __name__ == "__main__":
    main()
