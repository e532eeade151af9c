"""The wait of the guide, as a pipeline runs it: its exit status at each end."""

import os
import stat
from pathlib import Path

import pytest

from tests.docs.waiting import run_snippet

KUBECTL = """#!/bin/sh
case "$1 $*" in
  patch*) exit $PATCHED ;;
  wait*--for=condition=Finished*--timeout=*) exit $WAITED ;;
  get*reason*) printf %s "$REASON" ;;
  get*waitingFor*) echo "gate errors: 0.9" ;;
  *) exit 99 ;;
esac
"""


@pytest.mark.parametrize(
    ("patched", "waited", "reason", "status"),
    [
        (0, 0, "Succeeded", 0),
        (0, 0, "RolledBack", 1),
        (0, 0, "Disabled", 1),
        (0, 0, "", 1),
        (0, 1, "InProgress", 2),
        (1, 0, "Succeeded", 3),
    ],
)
def test_its_exit_status(tmp_path: Path, patched: int, waited: int, reason: str, status: int) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(KUBECTL)
    kubectl.chmod(kubectl.stat().st_mode | stat.S_IXUSR)
    given = {"ROLLOUT": "search", "NAMESPACE": "shop", "REVISION": "v2"}
    scripted = {"PATCHED": str(patched), "WAITED": str(waited), "REASON": reason}
    done = run_snippet(os.environ | given | scripted | {"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert done.returncode == status, done.stderr
    assert ("gate errors: 0.9" in done.stderr) == (status == 1), "a pipeline that fails says why"
