"""`python -m goalmap`: the same as the command `goalmap`."""

import sys

from goalmap.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
