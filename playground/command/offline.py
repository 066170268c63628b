"""What stands in the folder that `make offline` prepares: how to start it on a machine without internet."""

import platform

TEXT = """\
Diffusion playground, for a classroom without internet
======================================================

Needed on the machine: Python {python} and the system that this folder was made on ({system}). Its folder "wheels" has
everything else, "project" the playground with its model. Copy both onto the machine's disk, then in "project":

Linux, macOS:

  python3 -m venv .venv
  .venv/bin/python -m pip install --no-index --find-links ../wheels -r requirements.txt
  .venv/bin/python -m playground class

Windows:

  py -m venv .venv
  .venv\\Scripts\\python -m pip install --no-index --find-links ..\\wheels -r requirements.txt
  .venv\\Scripts\\python -m playground class

The last line is the only one that is needed again. It prints the address of the teacher's page and of the visitors'
page, with a QR code. Phones and machine must be in one network, which needs no way out; where there is none, the
hotspot of a laptop or a phone is one. If a firewall asks, let the room in.
"""


def text() -> str:
    """For the Python and the system that run now."""
    version = ".".join(platform.python_version_tuple()[:2])
    return TEXT.format(python=version, system=f"{platform.system()}, {platform.machine()}")


if __name__ == "__main__":
    print(text(), end="")
