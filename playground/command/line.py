"""What may be typed, and what a fault looks like: one sentence, exit code 2, no traceback.

Nothing heavy is imported here or before the checks have passed, so that a typing error is answered at once.
"""

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from playground.command.checks import (
    ONE_WITH_PREVIEW,
    Extras,
    check_loras,
    check_mcp,
    check_memory,
    check_port,
    default_hosted,
    default_model,
    default_port,
)
from playground.command.light import (
    import_gradio,
    import_scipy_later,
    import_transformers,
    leave_out,
    without_lines_of_source,
)
from playground.refusal import Refusal
from playground.sources.given import Source, source

ASKED_WRONGLY = 2  # the exit code; 0 is done, 1 is another picture, or none
FILMS = ("gif", "webp", "mp4")
RUNTIMES = ("openvino", "torch")
STEPS = (
    "the HTML page also steps through the runs, as many points of each as 32 MB have room for; pictures that are kept "
    "from before are drawn once more for it"
)
EXAMPLES = """\
examples:
  python -m playground                                    the page, on the first free port from 7860
  python -m playground serve --host 0.0.0.0 --port 8000   for a workshop's network
  python -m playground serve --model v1-5-pruned.safetensors
  python -m playground serve --model pocket --model models/sdxl-turbo
  python -m playground serve --model stabilityai/sd-turbo@main
  python -m playground serve --model models/sdxl --loras styles/
  python -m playground serve --model models/sdxl --memory 8GB
  python -m playground serve --hosted hosted.toml         models that draw elsewhere, as values of the model axis
  python -m playground class                              the same for a room: a teacher and everybody's phones
  python -m playground grid examples/recipes/guidance.json -o out/
  python -m playground grid recipe.json -o out/ --film mp4 --json | jq .event
  python -m playground grid recipe.json -o out/ --steps   the HTML page steps through the runs
  python -m playground grid models.json -o out/ --model pocket --model models/sd-turbo
  python -m playground verify out/cells/000-pocket-0-1a2b3c4d.png
  python -m playground lessons check my-lesson.md

exit codes: 0 done · 1 a picture failed, or is not the same as before · 2 asked wrongly
"""
ENVIRONMENT = """\
environment: PLAYGROUND_MODEL is the default of --model; PLAYGROUND_HOST of --host; PORT, or GRADIO_SERVER_PORT, of
--port; PLAYGROUND_MCP=1 is --mcp; PLAYGROUND_HOSTED of --hosted;
PLAYGROUND_CELLS the folder that keeps finished cells (cells/ unless set); HF_TOKEN,
HF_HOME and HF_HUB_OFFLINE are the hub's own
"""


class _One(argparse.Action):
    """The last one that was given, as a list, like an option that may be given several times."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:  # noqa: ANN001
        setattr(namespace, self.dest, [values])


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    whole = argparse.ArgumentParser(
        "python -m playground",
        description="A playground for latent diffusion: grids that vary one parameter.",
        epilog=EXAMPLES + "\n" + ENVIRONMENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    shape = {"formatter_class": argparse.RawDescriptionHelpFormatter, "epilog": EXAMPLES + "\n" + ENVIRONMENT}

    serve = commands.add_parser("serve", help="open the page in a browser's reach; also without COMMAND", **shape)
    _served(serve, os.environ.get("PLAYGROUND_HOST"), "127.0.0.1 unless given; 0.0.0.0 for a workshop's network")
    teach = commands.add_parser("class", help="serve the network of a room, for a class and its teacher", **shape)
    _served(teach, os.environ.get("PLAYGROUND_HOST") or "0.0.0.0", "0.0.0.0, the whole network, unless given")

    grid = commands.add_parser("grid", help="draw a recipe's grid into a folder", **shape)
    grid.add_argument("recipe", help="a JSON file, a PNG of this playground, or - for JSON on standard input")
    grid.add_argument("-o", "--out", type=Path, required=True, help="folder for the pictures, made where there is none")
    grid.add_argument("--image", type=Path, default=None, help="a picture that the runs start from (image to image)")
    grid.add_argument("--control-image", type=Path, default=None, help="a picture that the ControlNet is shown")
    grid.add_argument("--edges", action="store_true", help="draw the edges of the control picture first")
    grid.add_argument("--film", choices=FILMS, action="append", default=[], help="also a film along the columns")
    grid.add_argument("--steps", action="store_true", help=STEPS)
    grid.add_argument("--zip", action="store_true", help="also everything as one ZIP")
    grid.add_argument("--json", action="store_true", help="one JSON event a line on standard output, no progress bar")
    _model(grid, several=True, how="; several times for a grid over several models, one in memory at a time")
    _hosted(grid)

    verify = commands.add_parser("verify", help="draw a picture's recipe again and compare", **shape)
    verify.add_argument("picture", type=Path, help="a PNG that this playground made")
    pictures = "a picture that its run was given, if it is not kept here"
    verify.add_argument("--image", type=Path, action="append", default=[], help=pictures)
    verify.add_argument("--json", action="store_true", help="the result as JSON")
    _model(verify)

    lessons = commands.add_parser("lessons", help="lessons as Markdown files", **shape)
    kinds = lessons.add_subparsers(dest="what", required=True, metavar="WHAT")
    checking = kinds.add_parser("check", help="read each file, run every step, say what is wrong and in which line")
    checking.add_argument("paths", nargs="+", metavar="FILE", help="a lesson, or a folder of them")
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command -> its exit code. argparse itself ends with code 2 for options that do not exist."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # else its first request is one about who uses it
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # it hints at packages that nothing here uses
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help")):  # no command: the page
        given.insert(0, "serve")
    asked = parser().parse_args(given)
    try:
        if asked.command == "lessons":
            from playground.lessons.command import check as check_lessons

            return check_lessons(asked.paths)
        extras = Extras(
            check_loras(asked.loras), check_memory(asked.memory), asked.preview, getattr(asked, "hosted", None)
        )
        models = _sources(asked.model or [default_model()])
        if asked.preview is not None and len(models) > 1:
            raise Refusal(ONE_WITH_PREVIEW)
        if asked.command in ("serve", "class"):
            port = check_port(asked.host, default_port() if asked.port is None else asked.port)
            if not (mcp := check_mcp(asked.mcp)):
                leave_out("mcp")
            leave_out("peft")  # no requirement: LoRAs are read and weighed here
            gc.disable()  # until the page stands: hardly any of a million new objects is garbage, and looking is slow
            import_gradio()
            import_scipy_later()
            with without_lines_of_source():
                import_transformers()
                from playground.command.serve import serve

            how = (asked.runtime, asked.compile, asked.lessons, mcp, asked.command == "class", asked.controlnet)
            return serve(models, asked.host, port, *how, extras=extras)
        if asked.command == "grid":
            from playground.command.grid import Given, draw, read

            sweep = read(asked.recipe, asked.out)
            given = Given(asked.image, asked.control_image, asked.edges, asked.controlnet, extras)
            return draw(models, sweep, asked.out, asked.film, asked.zip, asked.json, given, asked.steps)
        from playground.command.verify import check

        return check(models[0], asked.picture, asked.json, asked.image, asked.controlnet, extras)
    except Refusal as problem:
        print(f"playground: {problem}", file=sys.stderr)
        return ASKED_WRONGLY
    except KeyboardInterrupt:
        print("\nplayground: stopped; finished pictures are kept.", file=sys.stderr)
        return 128 + 2  # as shells say it


def _served(command: argparse.ArgumentParser, host: str | None, says: str) -> None:
    of_several = "; several times for several models, each with a page of its own and one in memory at a time"
    _model(command, several=True, how=of_several)
    _hosted(command)
    command.add_argument("--port", default=None, help="the first free one from 7860 on unless given")
    command.add_argument("--host", default=host, help=says)
    command.add_argument("--runtime", choices=RUNTIMES, default=RUNTIMES[0], help="what runs the network on a CPU")
    command.add_argument("--compile", action="store_true", help="compile the U-Net first: minutes, then faster")
    command.add_argument("--mcp", action="store_true", help="also tools for agents (MCP); needs gradio[mcp]")
    command.add_argument("--lessons", type=Path, default=None, help="a folder with more lessons as Markdown files")


def _hosted(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--hosted",
        type=Path,
        default=default_hosted(),
        metavar="FILE",
        help="a TOML or JSON file of models that draw elsewhere, for a grid over models; their keys are read from the "
        "environment variables that it names, and a model whose key is not there is left out",
    )


def _sources(asked: Sequence[str]) -> list[Source]:
    """Raises Refusal where there is no such model, or two that recipes could not tell apart."""
    found = [source(given, lambda line: print(line, file=sys.stderr, flush=True)) for given in asked]
    names = [each.name for each in found]
    if again := next((name for name in names if names.count(name) > 1), None):
        raise Refusal(f"Two models are named {again}, so recipes could not tell them apart; rename one.")
    return found


def _model(command: argparse.ArgumentParser, several: bool = False, how: str = "") -> None:
    command.add_argument(
        "--model",
        action="append" if several else _One,
        help="a registered name, a folder in diffusers layout, a .safetensors file of Stable Diffusion 1.x, 2.x or "
        f"SDXL, or an id of the hub: owner/name or owner/name@revision{how}",
    )
    command.add_argument(
        "--loras",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="a folder of LoRA files (.safetensors, or folders as peft saves them) besides the model's own; several "
        "times for several folders. A file that does not fit a model is left out there",
    )
    command.add_argument(
        "--preview",
        type=Path,
        default=None,
        metavar="FOLDER",
        help="a tiny autoencoder of the model's family (AutoencoderTiny, such as TAESD) that draws the previews",
    )
    command.add_argument(
        "--memory",
        default=None,
        metavar="SIZE",
        help="the most that model and pictures may take of the GPU, or of the machine where there is none, such as "
        "8GB; what is free unless given",
    )
    command.add_argument(
        "--controlnet", type=Path, default=None, metavar="FOLDER", help="a ControlNet for it, in diffusers layout"
    )
