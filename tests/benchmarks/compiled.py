"""The engine with the network compiled (`python app.py --compile`), in one run with a loop of pipeline calls.

    python -m tests.benchmarks.compiled [--repeats 3]

Compiling itself takes a minute or more the first time; torch keeps what it compiled for later starts.
"""

from diffusers import StableDiffusionPipeline

from playground import open_engine
from playground.models import REGISTERED
from playground.models.running.device import default_device
from tests.benchmarks.grid_vs_pipeline import AGAINST, FIVE, GUIDANCE
from tests.benchmarks.measure import draw, interleaved, main, pipeline_loop, ratio

WORK = ("8-cell guidance grid, 20 steps, `--compile`", "5-cell guidance grid, 20 steps, `--compile`")


def rows(repeats: int) -> list[tuple[str, str, str]]:
    engine = open_engine("pocket", runtime="torch")
    try:
        engine.model.compile()
    except ValueError as error:  # nothing to compile with
        return [(work, against, str(error)) for work, against in zip(WORK, (AGAINST, "–"), strict=True)]
    engine.warm_up()
    pipeline = StableDiffusionPipeline.from_pretrained(REGISTERED["pocket"]).to(default_device())
    pipeline.set_progress_bar_config(disable=True)
    taken = interleaved(
        {
            "loop": lambda: pipeline_loop(pipeline, GUIDANCE),
            "8": lambda: draw(engine, GUIDANCE),
            "5": lambda: draw(engine, FIVE),
        },
        repeats,
    )
    return [
        (WORK[0], AGAINST, ratio(taken["loop"], taken["8"])),
        (WORK[1], "–", f"{taken['5']:.2f} s to the last picture"),
    ]


if __name__ == "__main__":
    main(__doc__, rows)
