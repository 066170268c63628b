"""What may be typed, and what a fault looks like: one sentence, exit code 2, no traceback.

Nothing heavy is imported here or before the checks have passed, so that a typing error is answered at once.
"""

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from playground.command.checks import check_mcp, check_model, check_port, default_model, default_port, leave_mcp_out
from playground.refusal import Refusal

DONE, DIFFERENT, ASKED_WRONGLY = 0, 1, 2  # exit codes
FILMS = ("gif", "webp", "mp4")
RUNTIMES = ("openvino", "torch")
EXAMPLES = """\
examples:
  python -m playground serve                              the page, on the first free port from 7860
  python -m playground serve --host 0.0.0.0 --port 8000   for a workshop's network
  python -m playground grid examples/recipes/guidance.json -o out/
  python -m playground grid recipe.json -o out/ --film mp4 --json | jq .event
  python -m playground verify out/cells/000-pocket-0-1a2b3c4d.png
  python -m playground lessons check my-lesson.md

exit codes: 0 done · 1 a picture failed, or is not the same as before · 2 asked wrongly
"""
ENVIRONMENT = """\
environment: PLAYGROUND_MODEL is the default of --model; PLAYGROUND_HOST of --host; PORT, or GRADIO_SERVER_PORT, of
--port; PLAYGROUND_MCP=1 is --mcp; PLAYGROUND_CELLS the folder that keeps finished cells (cells/ unless set)
"""


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

    serve = commands.add_parser("serve", help="open the page in a browser's reach", **shape)
    _model(serve)
    serve.add_argument("--port", default=None, help="the first free one from 7860 on unless given")
    serve.add_argument(
        "--host",
        default=os.environ.get("PLAYGROUND_HOST"),
        help="127.0.0.1 unless given; 0.0.0.0 for a workshop's network",
    )
    serve.add_argument("--runtime", choices=RUNTIMES, default=RUNTIMES[0], help="what runs the network on a CPU")
    serve.add_argument("--compile", action="store_true", help="compile the U-Net first: minutes, then faster")
    serve.add_argument("--mcp", action="store_true", help="also tools for agents (MCP); needs gradio[mcp]")
    serve.add_argument("--lessons", type=Path, default=None, help="a folder with more lessons as Markdown files")

    grid = commands.add_parser("grid", help="draw a recipe's grid into a folder", **shape)
    grid.add_argument("recipe", help="a JSON file, a PNG of this playground, or - for JSON on standard input")
    grid.add_argument("-o", "--out", type=Path, required=True, help="folder for the pictures, made where there is none")
    grid.add_argument("--image", type=Path, default=None, help="a picture that the runs start from (image to image)")
    grid.add_argument("--control-image", type=Path, default=None, help="a picture that the ControlNet is shown")
    grid.add_argument("--edges", action="store_true", help="draw the edges of the control picture first")
    grid.add_argument("--film", choices=FILMS, action="append", default=[], help="also a film along the columns")
    grid.add_argument("--zip", action="store_true", help="also everything as one ZIP")
    grid.add_argument("--json", action="store_true", help="one JSON event a line on standard output, no progress bar")
    _model(grid)

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
    asked = parser().parse_args(arguments)
    try:
        if asked.command == "lessons":
            from playground.lessons.command import check as check_lessons

            return check_lessons(asked.paths)
        check_model(asked.model)
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # it hints at packages that nothing here uses
        if asked.command == "serve":
            port = check_port(asked.host, default_port() if asked.port is None else asked.port)
            if not (mcp := check_mcp(asked.mcp)):
                leave_mcp_out()
            gc.disable()  # until the page stands: hardly any of a million new objects is garbage, and looking is slow
            from playground.command.serve import serve

            return serve(
                asked.model, asked.host, port, asked.runtime, asked.compile, asked.lessons, mcp, asked.controlnet
            )
        if asked.command == "grid":
            from playground.command.grid import Given, draw, read

            sweep = read(asked.recipe, asked.out)
            given = Given(asked.image, asked.control_image, asked.edges, asked.controlnet)
            return draw(asked.model, sweep, asked.out, asked.film, asked.zip, asked.json, given)
        from playground.command.verify import check

        return check(asked.model, asked.picture, asked.json, asked.image, asked.controlnet)
    except Refusal as problem:
        print(f"playground: {problem}", file=sys.stderr)
        return ASKED_WRONGLY
    except KeyboardInterrupt:
        print("\nplayground: stopped; finished pictures are kept.", file=sys.stderr)
        return 128 + 2  # as shells say it


def _model(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--model", default=default_model(), help="a registered name, or a local folder in diffusers layout"
    )
    command.add_argument(
        "--controlnet", type=Path, default=None, metavar="FOLDER", help="a ControlNet for it, in diffusers layout"
    )
