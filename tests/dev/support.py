"""Stand-ins for what takes minutes to build or belongs to the machine."""

import fcntl
import os
from pathlib import Path
from typing import cast

from tidegate_dev.backends import Workshop
from tidegate_dev.gobuild import Builder
from tidegate_dev.program_images import ProgramImages
from tidegate_dev.settings import Settings
from tidegate_dev.tools import Tools


def program(path: Path, text: str = "") -> Path:
    """A file that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def empty_workshop(settings: Settings) -> Workshop:
    """For clusters of which nothing has to be built."""
    return Workshop(settings, Tools(settings.cache), cast("Builder", None), cast("ProgramImages", None))


def is_held(lock: Path) -> bool:
    """Whether somebody holds a lock of locks.exclusive."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
