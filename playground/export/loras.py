"""The lines by which a program of a page adds LoRAs: by diffusers, and those that peft saved by peft."""

from playground.models import Facts
from playground.recipe import Recipe
from playground.refusal import Refusal

NOT_LOADED = (
    "This model's pipeline in diffusers reads no LoRAs, so no program with them is written; a picture without LoRAs "
    "can be taken away as one."
)
IMPORTS = """from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict
from safetensors.torch import load_file
"""
# peft takes one config for all layers, and patterns of their names for those that have other ranks
ADDING = """

def add_adapter(part, file, name):
    \"\"\"A LoRA as peft saves it; where no adapter_config.json lies beside it, its alphas are its ranks.\"\"\"
    above = "" if hasattr(part, "text_model") else "text_model."  # which CLIP had in older transformers
    tensors = {k.removeprefix("base_model.model.").removeprefix(above): v for k, v in load_file(file).items()}
    if Path(file).with_name("adapter_config.json").is_file():
        config = LoraConfig.from_pretrained(str(Path(file).parent))
    else:
        ranks = {"^" + k.removesuffix(".lora_A.weight"): len(v) for k, v in tensors.items() if ".lora_A." in k}
        config = LoraConfig(target_modules=[k[1:] for k in ranks], rank_pattern=ranks, alpha_pattern=ranks)
    inject_adapter_in_model(config, part, name, state_dict=tensors)
    set_peft_model_state_dict(part, tensors, name)


"""


def imports(recipe: Recipe, facts: Facts) -> tuple[str, str]:
    """What these lines need of Python's own library, and of others besides diffusers."""
    adapters = bool(_adapters(recipe, facts))
    beside = bool(recipe.active_loras and facts.one_file)
    return "from pathlib import Path\n" if adapters or beside else "", IMPORTS if adapters else ""


def lines(recipe: Recipe, facts: Facts) -> str:
    """What stands before the pipeline's call, where the recipe has LoRAs. They are named by number, because their names
    may be anything; peft wants plain ones.

    Raises Refusal where diffusers cannot add them.
    """
    if not recipe.active_loras:
        return ""
    if not facts.loads_loras:
        raise Refusal(NOT_LOADED)
    names = [f"lora{i}" for i in range(len(recipe.active_loras))]
    found = ADDING if _adapters(recipe, facts) else ""
    for own, (name, _) in zip(names, recipe.active_loras, strict=True):
        if name in facts.adapters:
            part, file = facts.adapters[name]
            found += f"add_adapter(pipe.{part}, loras + {f'/{file}'!r}, {own!r})\n"
        else:
            file = f"{name}.safetensors"
            found += f"pipe.load_lora_weights(loras, weight_name={file!r}, adapter_name={own!r})\n"
    return found + f"pipe.set_adapters({names!r}, {[weight for _, weight in recipe.active_loras]!r})\n"


def _adapters(recipe: Recipe, facts: Facts) -> list[str]:
    """Its LoRAs that peft saved."""
    return [name for name, _ in recipe.active_loras if name in facts.adapters]
