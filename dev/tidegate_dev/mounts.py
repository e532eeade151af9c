"""What is mounted, read from the kernel."""

import re
from pathlib import Path

from tidegate_dev import commands


def parse(mountinfo: str) -> list[Path]:
    """The mount points in the text of /proc/self/mountinfo, where spaces and the like stand as octal escapes."""
    return [Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), line.split()[4])) for line in mountinfo.splitlines()]


def under(folder: Path) -> list[Path]:
    """Every mount point at or below `folder`, deepest first."""
    found = [point for point in parse(Path("/proc/self/mountinfo").read_text()) if point == folder or folder in point.parents]
    return sorted(found, key=lambda point: len(point.parts), reverse=True)


def is_mounted(path: Path) -> bool:
    return path in under(path)


def unmount(path: Path) -> None:
    """Detaches at once; what is still open ends with its process."""
    commands.output(["umount", "--lazy", path])


def unmount_all(folder: Path) -> None:
    """Detaches everything at or below `folder`, stacked mounts too."""
    for point in under(folder):
        unmount(point)
