"""Runs the demo: see --help."""

import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path[0] = str(Path(__file__).resolve().parents[1])

try:
    from demo.cli import main

    sys.exit(main())
except KeyboardInterrupt:
    sys.exit(130)
