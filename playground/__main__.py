"""python -m playground grid | verify | lessons | serve | class; `--help` says more."""

import sys

from playground.command.line import main

if __name__ == "__main__":
    sys.exit(main())
