"""python -m playground lessons check FILE…"""

import argparse
import sys

from playground.lessons.command import check


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m playground")
    commands = parser.add_subparsers(dest="command", required=True)
    lessons = commands.add_parser("lessons", help="lessons as Markdown files").add_subparsers(
        dest="what", required=True
    )
    checking = lessons.add_parser("check", help="read each file, run every step, say what is wrong and in which line")
    checking.add_argument("paths", nargs="+", metavar="FILE", help="a lesson, or a folder of them")
    return check(parser.parse_args().paths)


if __name__ == "__main__":
    sys.exit(main())
