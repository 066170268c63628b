"""The model card's curves, drawn from evaluation.json with matplotlib."""

from pathlib import Path

from playground.samplers import SAMPLERS

from ..strips import CARD


def curves(report: dict) -> Path:
    """Three panels: measures against guidance, against steps, and of the samplers -> card/curves.png"""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    CARD.mkdir(exist_ok=True)
    with pyplot.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(10.5, 3), layout="constrained")
        for key, label in (
            ("confidence", "judge's confidence"),
            ("diversity", "diversity over seeds"),
            ("saturation", "saturation"),
            ("clipped", "clipped pixels"),
        ):
            left.plot(list(report["guidance"]), [v[key] for v in report["guidance"].values()], "o-", ms=3, label=label)
        left.set(xlabel="guidance scale", ylim=(0, 1.3), title="Guidance")
        left.legend(frameon=False, loc="upper center", ncols=2)
        for key, label in (("confidence", "judge's confidence"), ("top1", "named first")):
            middle.plot(list(report["steps"]), [v[key] for v in report["steps"].values()], "o-", ms=3, label=label)
        middle.set(xlabel="steps of DPM++ 2M", ylim=(0, 1), title="Steps")
        middle.legend(frameon=False)
        bars = [
            (f"{SAMPLERS[sampler].label}, {n}", measures["confidence"], measures["evaluations"])
            for sampler, by_steps in report["samplers"].items()
            for n, measures in by_steps.items()
        ]
        bars.sort(key=lambda bar: bar[1])
        drawn = right.barh([label for label, _, _ in bars], [confidence for _, confidence, _ in bars], color="tab:grey")
        right.bar_label(drawn, [f"{evaluations} evaluations" for _, _, evaluations in bars], fontsize=6, padding=2)
        right.set(xlabel="judge's confidence", xlim=(0, 1.15), title="Samplers and their steps")
        path = CARD / "curves.png"
        figure.savefig(path, dpi=90)
        pyplot.close(figure)
    return path
