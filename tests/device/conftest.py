"""A sample picture and its latents, for the views' work."""

import pytest
import torch
from PIL import Image

from playground import pictures
from playground.engine import Encode, LocalEngine
from tests.device.works import APPLE


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return pictures.open_picture(APPLE, 128)


@pytest.fixture(scope="module")
def x0(engine: LocalEngine, picture: Image.Image) -> torch.Tensor:
    return next(engine.ask([Encode(picture)])).value
