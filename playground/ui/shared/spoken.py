"""What a recipe refuses, in the words of the form."""

import re

from playground.labels import FIELD_NAMES
from playground.samplers import SAMPLERS

NAMES = {name: label for name, label in FIELD_NAMES.items() if name != "loras"} | {"size": "Size"}


def spoken(sentence: str) -> str:
    """ "num_inference_steps must be … for the sampler pndm." -> "Steps must be … for the sampler PLMS." """
    sentence = re.sub(r"^\w+", lambda match: NAMES.get(match[0], match[0]), sentence)
    sentence = re.sub(r"^loras\.(\S+) must", r"The weight of \1 must", sentence)
    if "sampler" in sentence.lower():
        labels = {key: row.label for key, row in SAMPLERS.items()}
        sentence = re.sub(r"\w+", lambda match: labels.get(match[0], match[0]), sentence)
    return sentence.replace(", not None.", "; the field is empty.")
