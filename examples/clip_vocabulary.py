"""CLIP's word pieces as `playground/models/layouts/clip/merges.txt.gz` keeps them, from the package that ships them.

    pip download --no-deps open_clip_torch
    python examples/clip_vocabulary.py open_clip_torch-*.whl

Of the list that OpenAI published with CLIP the tokenizer of its text encoders uses the first 48,894 pairs: 49,152
pieces without the 256 bytes and the two marks.
"""

import gzip
import sys
import zipfile
from pathlib import Path

SHIPPED = Path(__file__).parents[1] / "playground" / "models" / "layouts" / "clip" / "merges.txt.gz"
LISTED = "open_clip/bpe_simple_vocab_16e6.txt.gz"
PAIRS = 49_152 - 256 - 2


def merges(wheel: Path) -> bytes:
    """The package -> one pair a line, gzipped; equal bytes for equal pairs."""
    with zipfile.ZipFile(wheel) as package:
        lines = gzip.decompress(package.read(LISTED)).decode().splitlines()
    pairs = lines[1 : 1 + PAIRS]  # the first line says what the list is
    return gzip.compress("\n".join(pairs).encode(), 9, mtime=0)


if __name__ == "__main__":
    SHIPPED.write_bytes(merges(Path(sys.argv[1])))
