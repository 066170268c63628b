"""What a recipe refuses, in the words of the form."""

import re

from playground.labels import FIELD_NAMES
from playground.samplers import SAMPLERS
from playground.sweep import SIZE

# of a recipe's fields in the form, where LoRAs have a field each; a size is width and height in one
LABELS = {name: label for name, label in FIELD_NAMES.items() if name != "loras"} | {SIZE: "Size"}


def spoken(sentence: str) -> str:
    """ "num_inference_steps must be … for the sampler pndm." -> "Steps must be … for the sampler PLMS." """
    sentence = re.sub(r"^\w+", lambda match: LABELS.get(match[0], match[0]), sentence)
    sentence = re.sub(r"^loras\.(\S+) must", r"The weight of \1 must", sentence)
    if "sampler" in sentence.lower():
        labels = {key: row.label for key, row in SAMPLERS.items()}
        sentence = re.sub(r"\w+", lambda match: labels.get(match[0], match[0]), sentence)
    return sentence.replace(", not None.", "; the field is empty.")
