"""/predict_noise for programs."""

from typing import Any

import gradio as gr

from playground.engine import Encode, Engine
from playground.inside import prediction
from playground.inside.guess import guess
from playground.inside.latent_noise import channel_tiles
from playground.recipe import Recipe
from playground.schedule import Plan, plan
from playground.ui.predict_noise.rail import SAMPLES, usual_guess
from playground.ui.shared.described import PICTURE, describe
from playground.ui.shared.endpoint import A_PICTURE, ENGINE, exemplary, register
from playground.ui.shared.files import FILES
from playground.ui.shared.html import png
from playground.ui.shared.samples import sent_or_shipped
from playground.ui.shared.shipped import EXAMPLES

SHIPPED = {title: EXAMPLES / name for name, title, _ in SAMPLES}


def build(engine: Engine) -> None:
    """Register `/predict_noise`; it has no visible part.

    Plain fields without bounds of their own: the functions say what is wrong.
    """
    facts, usual = engine.facts, usual_guess(engine.facts)

    def predict_noise(
        picture: str | None = None,
        prompt: str = "",
        t: int = facts.total_timesteps // 2,
        seed: int = 0,
        num_inference_steps: int | None = None,
        sampler: str = usual.sampler,
        example: str = SAMPLES[0][1],
    ) -> tuple[list[str], dict[str, Any]]:
        """Adds the noise of timestep t to a picture's latents and lets the model predict it.

        To do the same elsewhere: crop the centre, reduce it by Lanczos to the model's size, encode it by the VAE, take
        the posterior's mean times the scaling factor as x₀, and torch.randn of its shape from a CPU generator with the
        seed as ε.

        Parameters:
            picture: {picture}; its centre is used, at the model's size; may be left out
            prompt: what is in the picture, such as "red apple, blue background"; "" for no words
            t: the timestep, a whole number from 0 (hardly any noise) to {last} (hardly any picture)
            seed: of the noise, a whole number from 0 to 4294967295
            num_inference_steps: 1 to 100; when given, the picture is also guessed from x_t at guidance_scale {guidance}
            sampler: of that guess: {samplers}
            example: the picture where no file is given: {examples}
        Returns:
            the PNG files x_t, epsilon, predicted and x0 (and guess): pictures by the VAE, noise as its channels
            t, prompt, seed, alpha_bar, the amplitudes of picture and noise, loss, loss_without_prompt (and guess)
        """
        recipe, planned = usual.replace(prompt=prompt, seed=seed, sampler=sampler), None
        if num_inference_steps is not None:
            recipe = recipe.replace(num_inference_steps=num_inference_steps)
            engine.check(recipe)
            planned = plan(recipe, facts.schedule, t)
        (encoded,) = engine.ask([Encode(sent_or_shipped(picture, example, SHIPPED, facts.side))])
        return _answered(engine, encoded.value, recipe, t, planned)

    numbers = {"last": f"{facts.total_timesteps - 1}", "guidance": f"{usual.guidance_scale:g}"}
    examples = "; ".join(SHIPPED)
    describe(predict_noise, picture=PICTURE, samplers=", ".join(facts.samplers), examples=examples, **numbers)
    inputs = [
        exemplary(gr.File(label="picture", type="filepath", render=False), A_PICTURE),
        exemplary(gr.Textbox(label="prompt", render=False), SAMPLES[0][2]),
        gr.Number(facts.total_timesteps // 2, label="t", render=False),
        gr.Number(0, label="seed", render=False),
        gr.Number(None, label="num_inference_steps", render=False),
        gr.Textbox(usual.sampler, label="sampler", render=False),
        gr.Textbox(SAMPLES[0][1], label="example", render=False),
    ]
    outputs = [gr.Files(label="pictures", render=False), gr.JSON(label="numbers", render=False)]
    register(predict_noise, "predict_noise", inputs, outputs, **ENGINE)


def _answered(
    engine: Engine, x0: Any, recipe: Recipe, t: int, planned: Plan | None
) -> tuple[list[str], dict[str, Any]]:
    """-> the endpoint's files and numbers"""
    answer, none = prediction.predict(engine, x0, [recipe.prompt, ""], t, recipe.seed)
    x_t, left = prediction.as_pictures(engine, answer)
    tiles = {"epsilon": channel_tiles(answer.epsilon), "predicted": channel_tiles(answer.predicted)}
    files = {"x_t": x_t, **tiles, "x0": left}
    numbers: dict[str, Any] = {
        "t": answer.t,
        "prompt": recipe.prompt,
        "seed": recipe.seed,
        "alpha_bar": answer.alpha_bar,
        "sqrt_alpha_bar": answer.signal,
        "sqrt_one_minus_alpha_bar": answer.noise,
        "loss": answer.loss,
        "loss_without_prompt": none.loss,
        "values": answer.epsilon.numel(),
    }
    if planned is not None:
        *_, done = guess(engine, x0, recipe, t)
        files["guess"] = done.result.image
        numbers["guess"] = {
            "timesteps": list(planned.timesteps),
            "strength": planned.strength,
            "guidance_scale": recipe.guidance_scale,
            "sampler": recipe.sampler,
            "num_inference_steps": recipe.num_inference_steps,
        }
    return [FILES.path(png(picture), f"{name}.png") for name, picture in files.items()], numbers
