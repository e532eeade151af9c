"""Runs the tests of the hook for JavaScript, on documents of the real lever."""

import json
import re
import subprocess
from pathlib import Path

from tests.builders import KEY, target
from tests.languages import node
from tidegate.levers.flag.definition import definition_for

GUIDE_SERVES = """
const served = {};
const app = { use: (middleware) => { served.middleware = middleware; }, get: (path, handler) => { served.handler = handler; } };
"""
GUIDE_IS_ASKED = """
import { InMemoryProvider } from '@openfeature/server-sdk';
import { register } from 'prom-client';
const search = { disabled: false, variants: { on: true, off: false }, defaultVariant: 'on' };
await OpenFeature.setProviderAndWait(new InMemoryProvider({ 'new-search': search }));
await new Promise((done) => served.middleware({}, {}, async () => done(await served.handler({ user: 'user-1' }, {}))));
process.stdout.write(await register.metrics());
"""

ROOT = Path(__file__).resolve().parents[2]
HOOK = ROOT / "examples/hooks/javascript/flag_metrics.mjs"
GUIDE = ROOT / "docs/hooks.md"
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


def test_what_the_guide_shows_works(packages: node.Packages, tmp_path: Path) -> None:
    folder = packages.application(tmp_path / "application", HOOK)
    shown = re.search(r"```js\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert shown is not None
    (folder / "guide.mjs").write_text(GUIDE_SERVES + shown[1].replace("\n  ...\n", "\n") + GUIDE_IS_ASKED)
    done = subprocess.run([str(node.PROGRAM), "guide.mjs"], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    samples = done.stdout.splitlines()
    assert 'http_requests_total{code="200",variant="on"} 1' in samples
    assert 'http_requests_total{code="500",variant="on"} 0' in samples
    assert 'feature_flag_evaluations_total{feature="new-search",variant="on",reason="static"} 1' in samples
