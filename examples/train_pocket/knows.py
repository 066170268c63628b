"""Write what Pocket was shown, as plain words for the playground: playground/models/pocket/knows.json.

python -m examples.train_pocket.knows
"""

import json
import re

from playground.models import REGISTERED

from .scenes.captions import RELATION_WORDS, STYLE_WORDS, TOGETHER
from .scenes.colours import BACKGROUNDS
from .scenes.things import COMMON, table
from .scenes.typed import BEHIND, OWNERS, PRAISE, REQUESTS

FRAME = "a an the of on in and with two three four 2 3 4 background bg wall front against please"


def words(texts: list[str]) -> list[str]:
    """Single lower-case words, each once."""
    return sorted({word for text in texts for word in re.findall(r"[\w'’-]+", re.sub(r"\{\w+\}", " ", text.lower()))})


def main() -> None:
    things = table()
    relations = [word for phrases in RELATION_WORDS.values() for word in phrases]
    said = [*REQUESTS, *OWNERS, *PRAISE, *BEHIND, *relations, *TOGETHER, *STYLE_WORDS.values(), FRAME]
    names = [name for thing in things for name in (thing.name, thing.plural, *thing.synonyms) if name]
    knows = {
        "common": [thing.name for thing in things[:COMMON]],
        "rare": [thing.name for thing in things[COMMON:]],
        "colours": list(BACKGROUNDS),
        "styles": [word for word in STYLE_WORDS.values()],
        "words": words([*said, *names, *BACKGROUNDS]),
    }
    path = REGISTERED["pocket"] / "knows.json"
    path.write_text(json.dumps(knows, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    print(f"{path.name}: {len(things)} things, {len(knows['words'])} words, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
