"""Opens the playground in a browser; also the entry point on Hugging Face Spaces.

The same as `python -m playground serve`; `python app.py --help` says what may be given.
"""

import sys

try:
    import spaces  # noqa: F401  before torch, because ZeroGPU lends its device by patching it
except ImportError:
    pass

from playground.command.line import main

if __name__ == "__main__":
    sys.exit(main(["serve", *sys.argv[1:]]))
