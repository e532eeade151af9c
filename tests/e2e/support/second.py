"""The second cluster of a machine, beside the one that the other tests share, and what the machine shows of it."""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.support.installation import ROOT, until
from tidegate_dev import settings

SCRIPT = [sys.executable, str(ROOT / "dev/cluster")]


@dataclasses.dataclass
class Second:
    """A cluster with a name and a state folder of its own."""

    settings: settings.Settings

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "TIDEGATE_CLUSTER": self.settings.name, "TIDEGATE_STATE": str(self.settings.state.parent)}

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        command, out = [*SCRIPT, *arguments], subprocess.PIPE
        return subprocess.Popen(command, env=self.environment, stdout=out, stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def killed_once(self, what: str, condition: Callable[[], bool], *arguments: str, seconds: float = 60) -> bool:
        """Begins, and is killed when something is so; False where it had ended already."""
        running = self.begin(*arguments)
        until(what, lambda: running.poll() is not None or condition(), seconds)
        running.kill()
        print(running.communicate()[0])
        return running.returncode < 0

    def call(self, *arguments: str) -> tuple[int, str]:
        running = self.begin(*arguments)
        text, _ = running.communicate(timeout=600)
        return running.returncode, text

    def run(self, *arguments: str) -> str:
        code, text = self.call(*arguments)
        assert code == 0, text
        return text

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        folder = next(self.settings.cache.glob("tools/*/programs"))
        argv = [str(folder / "kubectl"), f"--kubeconfig={self.settings.kubeconfig}", *arguments]
        done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def native(self) -> bool:
        return self.settings.backend.read_text() == "native"

    def records(self) -> dict[str, dict[str, Any]]:
        """The daemons of a native cluster: name → pid and start time."""
        return {path.stem: json.loads(path.read_text()) for path in (self.settings.state / "processes").glob("*.json")}

    def releases(self, status: str) -> list[str]:
        """Helm's records of releases with that status."""
        selector = f"owner=helm,status={status}"
        return self.kubectl("get", "secrets", "-A", "-l", selector, "-o", "name", "--request-timeout=3s").split()

    def versions(self) -> str:
        """Changes with whatever is changed by an `up`: what it applies by its version, what controllers also write to by its generation."""
        found = ""
        for what, version in (
            (("configmaps,services",), "resourceVersion"),
            (("secrets", "-l", "owner=helm"), "resourceVersion"),
            (("deployments,daemonsets",), "generation"),
        ):
            form = "{range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name} {.metadata." + version + "}\n{end}"
            found += self.kubectl("get", *what, "-A", "-o", f"jsonpath={form}")
        return found

    def network(self) -> tuple[str, list[str]]:
        """The host's end of the cluster's link (native), and the routes that lead over it. Both must be there."""
        routes = json.loads(subprocess.run(["ip", "-j", "-4", "route"], capture_output=True, check=True).stdout)
        link = self.settings.ranges.link
        assert Path("/sys/class/net", link).exists()
        own = [route["dst"] for route in routes if route.get("dev") == link]
        assert len(own) == 3, own  # node, pods, services
        return link, own

    def traces(self) -> list[str]:
        """What this machine shows of the cluster, looked up without the help of dev/cluster."""
        own = (str(self.settings.state), str(self.settings.runtime), self.settings.full_name)
        found = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if any(text in line for text in own)]
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode(errors="replace") + (entry / "cgroup").read_text()
                found += [f"process {entry.name}: {words}"] if any(text in words for text in own) else []
        found += [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/{self.settings.full_name}")]
        found += [str(path) for path in Path("/var/log/containers").glob("*") if str(path.readlink()).startswith(own[0])]
        found += [str(path) for path in (self.settings.state, self.settings.runtime) if path.exists()]
        return found


def importing(second: Second) -> bool:
    """Whether an addon's image is on its way into the node at this moment."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            ours = str(second.settings.runtime / "containerd.sock") in words or f"--name={second.settings.full_name}" in words
            if ours and {"import", "image-archive"} & set(words) and any("/envoy-" in word or "/prometheus-" in word for word in words):
                return True
    return False


def pending(second: Second) -> bool:
    """Whether Helm is installing something at this moment."""
    with contextlib.suppress(AssertionError):
        return second.settings.kubeconfig.exists() and bool(second.releases("pending-install"))
    return False
