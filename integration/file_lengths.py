"""Fails if a source file is too long to read in one sitting, and should be split."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MOST = 400
SOURCES = ("*.rs", "*.py", "*.js", "*.css", "*.html")


def main() -> None:
    files = subprocess.run(["git", "ls-files", "-z", *SOURCES], check=True, capture_output=True, text=True).stdout
    lengths = {name: len(Path(name).read_text().splitlines()) for name in files.split("\0") if name and Path(name).exists()}
    long = [f"{name}: {length} lines" for name, length in sorted(lengths.items()) if length > MOST]
    if long:
        sys.exit(f"files of more than {MOST} lines:\n" + "\n".join(long))


if __name__ == "__main__":
    main()
