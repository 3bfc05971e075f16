"""`python -m hashigo` is the command `hashigo`, for environments whose programs are not on the path."""

from __future__ import annotations

from hashigo.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
