"""The servers, each as processes of its own on loopback, with a fault that it can be given."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

from sources.exporter import Exporter

MODULES = {
    "victoria-metrics": ("github.com/VictoriaMetrics/VictoriaMetrics@v1.151.0", "./app/victoria-metrics"),
    "prometheus": ("github.com/prometheus/prometheus@v0.53.3", "./cmd/prometheus"),
    "thanos": ("github.com/thanos-io/thanos@v0.42.4", "./cmd/thanos"),
}
"""Module and package of each program. Their own go.mod says with what they are built, replacements included."""
_TAGS = {"thanos": "slicelabels"}
"""Without it Thanos takes labels for those of another layout, and crashes."""
_BEGINS_WITHIN = 60.0


def installed(name: str, folder: Path) -> Path:
    """Builds one of the MODULES."""
    module, package = MODULES[name]
    known = subprocess.run(["go", "mod", "download", "-json", module], cwd=folder, capture_output=True, check=True)
    where, tags = json.loads(known.stdout)["Dir"], _TAGS.get(name, "")
    subprocess.run(["go", "build", "-C", where, "-tags", tags, "-o", folder / name, package], check=True)
    return folder / name


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Server(ABC):
    """`name` and `fault` in words; `url` is the base of its query API."""

    name: str
    fault: str

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @abstractmethod
    def start(self, folder: Path, exporter: Exporter) -> None: ...

    def break_it(self) -> None:
        self.end(next(iter(self._processes)))

    @contextlib.contextmanager
    def running(self, folder: Path, exporter: Exporter) -> Iterator[None]:
        folder.mkdir()
        try:
            self.start(folder, exporter)
            self._wait(f"{self.url}/api/v1/query?query=up")
            yield
        finally:
            for name in tuple(self._processes):
                self.end(name)

    def run(self, name: str, argv: Sequence[str | Path], folder: Path) -> None:
        with (folder / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(argv, stdout=log, stderr=log, cwd=folder)

    def end(self, name: str) -> None:
        process = self._processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def _wait(self, url: str) -> None:
        ends = time.monotonic() + _BEGINS_WITHIN
        while True:
            try:
                with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own, on loopback
                    return
            except OSError:
                if time.monotonic() > ends:
                    sys.exit(f"{self.name} does not answer within {_BEGINS_WITHIN:g} s")
                time.sleep(0.2)


def scraping(exporter: Exporter, head: str = "global: {scrape_interval: 1s, scrape_timeout: 1s, external_labels: {prometheus: a}}") -> str:
    jobs = "".join(
        f"  - job_name: {job}\n    honor_labels: true\n    honor_timestamps: true\n"
        f'    static_configs: [{{targets: ["127.0.0.1:{port}"], labels: {{namespace: of-{job}}}}}]\n'
        for job, port in exporter.ports.items()
    )
    return f"{head}\nscrape_configs:\n{jobs}"


class PrometheusServer(Server):
    fault = "the server is killed"

    def __init__(self, program: Path) -> None:
        super().__init__()
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        version = re.search(r"version ([0-9.]+)", said.stdout + said.stderr)
        self.name = f"Prometheus {version[1]}" if version else f"Prometheus, {program.name}"
        self._program = program

    def start(self, folder: Path, exporter: Exporter) -> None:
        (folder / "prometheus.yml").write_text(scraping(exporter))
        listens = f"--web.listen-address=127.0.0.1:{self.port}"
        self.run("prometheus", [self._program, "--config.file=prometheus.yml", "--storage.tsdb.path=data", listens], folder)


class VictoriaMetrics(Server):
    name, fault = "VictoriaMetrics", "the server is killed"

    def __init__(self, program: Path, *limits: str) -> None:
        super().__init__()
        self._program, self._limits = program, limits

    def start(self, folder: Path, exporter: Exporter) -> None:
        (folder / "scrape.yml").write_text(scraping(exporter, "global: {scrape_interval: 1s, scrape_timeout: 1s}"))
        argv: list[str | Path] = [
            self._program,
            "-promscrape.config=scrape.yml",
            f"-httpListenAddr=127.0.0.1:{self.port}",
            "-storageDataPath=data",
        ]
        self.run("victoria", [*argv, "-search.latencyOffset=0s", *self._limits], folder)


class Thanos(Server):
    """A querier over a sidecar over a Prometheus."""

    def __init__(self, program: Path, prometheus: Path, *, is_partial: bool) -> None:
        super().__init__()
        self.name = f"Thanos, partial response {'on' if is_partial else 'off'}"
        self.fault = "its store is killed"
        self._program, self._prometheus, self._is_partial = program, PrometheusServer(prometheus), is_partial

    def start(self, folder: Path, exporter: Exporter) -> None:
        grpc, inner = free_port(), self._prometheus
        (folder / "prometheus").mkdir()
        inner.start(folder / "prometheus", exporter)
        inner._wait(f"{inner.url}/api/v1/query?query=up")
        sidecar = [f"--prometheus.url={inner.url}", f"--grpc-address=127.0.0.1:{grpc}", f"--http-address=127.0.0.1:{free_port()}"]
        self.run("sidecar", [self._program, "sidecar", *sidecar, "--tsdb.path=prometheus/data"], folder)
        partial = "--query.partial-response" if self._is_partial else "--no-query.partial-response"
        query = [f"--http-address=127.0.0.1:{self.port}", f"--grpc-address=127.0.0.1:{free_port()}", partial]
        self.run("query", [self._program, "query", *query, f"--endpoint-strict=127.0.0.1:{grpc}"], folder)

    @contextlib.contextmanager
    def running(self, folder: Path, exporter: Exporter) -> Iterator[None]:
        try:
            with super().running(folder, exporter):
                yield
        finally:
            self._prometheus.end("prometheus")


def servers(prometheus: Sequence[Path], programs: dict[str, Path]) -> Iterator[Server]:
    """One after another: the ports of each are free when it begins."""
    for one in prometheus:
        yield PrometheusServer(one)
    yield VictoriaMetrics(programs["victoria-metrics"])
    for is_partial in (True, False):
        yield Thanos(programs["thanos"], prometheus[0], is_partial=is_partial)
