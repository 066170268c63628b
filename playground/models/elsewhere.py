"""A model that draws somewhere else: what of a recipe is sent there, and what is ignored."""

from dataclasses import dataclass, field

from playground.recipe import LATE, SEED_RANGE, Recipe
from playground.refusal import Refusal

NAMES = {  # fields of a recipe that may be sent besides prompt and size, as people call them
    "negative_prompt": "negative prompt",
    "sampler": "sampler",
    "num_inference_steps": "steps",
    "guidance_scale": "guidance scale",
    "seed": "seed",
}
PICTURES = {"image": "a start picture", "control_image": "a control picture"}
KEEPS = ("loras", *PICTURES)  # late fields and LoRAs without which it would be another question, so they are refused
ASKED_BY = "Compare's Run and `python -m playground grid`"
LISTED = 3  # sizes in a sentence


@dataclass(frozen=True)
class Elsewhere:
    """Plain data, as `Facts`."""

    provider: str  # who draws, as people call it
    model: str  # as the provider calls it
    takes: tuple[str, ...] = ()  # of NAMES those that are sent
    seeds: tuple[int, int] = field(default=SEED_RANGE)  # the seeds that can be sent
    sizes: tuple[tuple[int, int], ...] = ()  # width, height in pixels; empty where any is asked for
    price: str = ""  # in the words of whoever started the app, with the day on which it was noted

    def sent(self, recipe: Recipe) -> tuple[str, ...]:
        """Of NAMES those that are sent of this recipe."""
        low, high = self.seeds
        return tuple(name for name in self.takes if name != "seed" or low <= recipe.seed <= high)

    def honours(self, name: str, recipe: Recipe) -> bool:
        """Whether this field of a recipe is sent, as far as it may be."""
        return name in self.sent(recipe) if name in NAMES else name not in LATE or name in KEEPS

    def ignored(self, recipe: Recipe) -> list[str]:
        """What is not sent of this recipe, as people call it; nobody misses an empty negative prompt."""
        sent = self.sent(recipe)
        names = [name for name in NAMES if name not in sent and (name != "negative_prompt" or recipe.negative_prompt)]
        late = [name for name, without in LATE.items() if name not in KEEPS and getattr(recipe, name) != without]
        return [*(NAMES[name] for name in names), *(name.replace("_", " ") for name in late)]

    def used(self, recipe: Recipe) -> Recipe:
        """What of a recipe its picture comes from. The seed stays, because several seeds are several pictures also
        where none is sent."""
        plain, sent = Recipe(), self.sent(recipe)
        ignored = {name: getattr(plain, name) for name in NAMES if name not in sent and name != "seed"}
        late = {name: without for name, without in LATE.items() if name not in KEEPS}
        return recipe.replace(**ignored, **late)

    def check(self, recipe: Recipe, name: str) -> None:
        """Raises Refusal for what would be another question without it."""
        if recipe.loras:
            raise Refusal(f"loras must be empty for {name}: its pictures are made elsewhere.")
        for field_name, what in PICTURES.items():
            if getattr(recipe, field_name):
                raise Refusal(f"{field_name} must be empty for {name}: it is asked for pictures without {what}.")
        if self.sizes and (recipe.width, recipe.height) not in self.sizes:
            known = " or ".join(f"{width} × {height}" for width, height in self.sizes[:LISTED])
            raise Refusal(f"width and height must be {known} for {name}, not {recipe.width} × {recipe.height}.")
        if not recipe.prompt.strip():
            raise Refusal(f"prompt must not be empty for {name}.")

    def by(self, name: str) -> str:
        """ "made elsewhere by NAME at PROVIDER (MODEL)" """
        return f"made elsewhere by {name} at {self.provider}" + (f" ({self.model})" if self.model != name else "")
