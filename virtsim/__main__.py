"""``python -m virtsim``: the same as the ``virtsim`` command."""

from __future__ import annotations

from virtsim.cli.main import main

if __name__ == "__main__":
    main()
