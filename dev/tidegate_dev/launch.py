"""Becomes a daemon: records this process, then turns into the program. Run as a script, by `processes.start` only.

The record is written by the process itself, before the program begins, and the cluster's lock is held until then: a
`dev/cluster` that is killed at any moment leaves no process behind that the next one does not know.

Usage: launch.py RECORD LOCK_DESCRIPTOR FINGERPRINT PROGRAM [ARGUMENT…]
"""

import json
import os
import sys
from pathlib import Path


def start_time(pid: int) -> int | None:
    """When a process began, in clock ticks since boot; None when there is no such process, or only its zombie."""
    try:
        # The second field is the program's name in parentheses; it may hold spaces and parentheses itself.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def boot_id() -> str:
    """Changes with every start of the machine: a pid and start time from before mean nothing now."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def main() -> None:
    record, lock, fingerprint, *argv = sys.argv[1:]
    content = {"pid": os.getpid(), "started": start_time(os.getpid()), "boot": boot_id(), "fingerprint": fingerprint}
    temporary = Path(f"{record}.{os.getpid()}")
    temporary.write_text(json.dumps(content))
    temporary.rename(record)
    os.set_inheritable(int(lock), False)
    os.execvp(argv[0], argv)


if __name__ == "__main__":
    main()
