"""Runs the tests of the hook for JavaScript, on documents of the real lever."""

import json
import re
import subprocess
from pathlib import Path

from tests.builders import KEY, target
from tests.languages import node
from tidegate.levers.flag import definition_for

ROOT = Path(__file__).resolve().parents[2]
HOOK = ROOT / "examples/hooks/javascript/flag_metrics.mjs"
TESTS = node.SOURCES / "flag_metrics.test.mjs"


def test_the_hook_for_javascript(packages: node.Packages, tmp_path: Path) -> None:
    folder = packages.application(tmp_path / "application", HOOK, TESTS)
    (folder / "flags").mkdir()
    for percent in (0, 25, 100):
        for name, lists in {"plain": {}, "lists": {"allow": ["user-1"], "deny": ["user-2"]}}.items():
            document = {"flags": {KEY: definition_for(target(**lists), percent)}}
            (folder / f"flags/{name}-{percent}.json").write_text(json.dumps(document))
    # a provider that never reached its server would keep the process alive: it goes on trying after it was closed
    argv = [str(node.PROGRAM), "--test-reporter=tap", "--test-force-exit", TESTS.name]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^# pass [1-9]", done.stdout, re.MULTILINE), done.stdout
