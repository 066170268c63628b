"""The pictures that come with the playground, as a lesson names them."""

from pathlib import Path

from PIL import Image

from playground.pictures import open_picture
from playground.refusal import Refusal

IMAGES = Path(__file__).parents[3] / "examples" / "images"


def known() -> list[str]:
    return sorted(path.stem for path in IMAGES.glob("*.webp"))


def sample(name: str, side: int) -> Image.Image:
    """A name such as "dusk" -> RGB picture of side × side pixels."""
    return open_picture(IMAGES / f"{checked(name)}.webp", side)


def checked(name: str) -> str:
    """Raises Refusal for a name that is none."""
    if name not in known():
        raise Refusal(f"There is no picture “{name}”; there are {', '.join(known())}.")
    return name
