"""Make sure that the browser tests have a Chromium: one that is there, Debian's package, or Playwright's own.

python tests/ensure_chromium.py      # exits with a sentence when none can be had
"""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome")


def found() -> str | None:
    """The path of a Chromium on this machine, or None."""
    if named := os.environ.get("CHROMIUM"):
        return named
    for name in NAMES:
        if path := shutil.which(name):
            return path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if os.path.exists(path) else None


def install() -> None:
    """Debian's package where this user may install it, else Playwright's download. Errors are reported by `main`."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]
        if (
            subprocess.run(command, check=False, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}).returncode
            == 0
        ):
            return
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)


def main() -> None:
    if found() is None:
        install()
    path = found()
    if path is None:
        sys.exit(
            "The browser tests need Chromium and none could be installed: run `apt-get install chromium` as root, "
            "or set CHROMIUM to the path of one."
        )
    print(f"Chromium: {path}")


if __name__ == "__main__":
    main()
