"""What every measurement says on its way, and leaves behind."""

import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any


def say(text: str) -> None:
    """Progress, with the local time."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


def write(out: Path, name: str, *, table: str = "", **measured: Any) -> None:
    """NAME.json with the machine and everything that was measured, and NAME.md with the table, which is printed too."""
    machine = {"cpus": os.cpu_count(), "machine": platform.machine(), "system": platform.platform()}
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_text(json.dumps({"machine": machine, **measured}, indent=1) + "\n")
    if table:
        (out / f"{name}.md").write_text(table)
        sys.stdout.write(table)
    say(f"everything that was measured is in {out / name}.json")
