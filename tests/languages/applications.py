"""The applications that the tests talk to: one process per language, connected as examples/09-application.yaml says."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from tests.flags.process import process
from tests.languages import node

LANGUAGES = ("python", "javascript")
HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parents[1] / "examples/09-application.yaml"
ANSWER_SECONDS = 600
LONGEST_ANSWER = 1024 * 1024


class Application:
    """One running application."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, **question: Any) -> dict[str, Any]:
        """Sends one question, and returns the answer."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(question).encode() + b"\n")
        async with asyncio.timeout(ANSWER_SECONDS):
            line = await stdout.readline()
        assert line, f"the application ended: {question}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def status(self) -> str:
        return str((await self.ask(do="status"))["status"])


@asynccontextmanager
async def started(packages: node.Packages, folder: Path, host: str, selector: str) -> AsyncIterator[dict[str, Application]]:
    """The application of each language, with the flags of this selector."""
    where = packages.application(folder, node.SOURCES / "client.mjs")
    programs = {"python": (sys.executable, str(HERE / "client.py")), "javascript": (str(node.PROGRAM), str(where / "client.mjs"))}
    pipes = dict.fromkeys(("stdin", "stdout"), asyncio.subprocess.PIPE)
    running = partial(process, env=_environment(host, selector), limit=LONGEST_ANSWER, **pipes)
    async with AsyncExitStack() as stack:
        yield {language: Application(await stack.enter_async_context(running(*programs[language]))) for language in LANGUAGES}


def _environment(host: str, selector: str) -> dict[str, str]:
    """What the example sets, with another address and flag set."""
    container = yaml.safe_load(EXAMPLE.read_text())["spec"]["template"]["spec"]["containers"][0]
    example = {one["name"]: str(one["value"]) for one in container["env"]}
    return {**os.environ, **example, "FLAGD_HOST": host, "FLAGD_SOURCE_SELECTOR": selector}
