"""Small targets on loopback whose metrics a caller sets: `app`; two that may be stopped: `gone`, and `about`, which reports about others,
under the labels of these; and `early`, which stamps its samples ahead of their time."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

AHEAD = {"early": 120.0}
"""By how many seconds a job stamps its samples ahead."""


class Exporter:
    """`ports` are by job."""

    def __init__(self) -> None:
        self.metrics: dict[str, dict[str, float]] = {
            "app": {
                'requests_total{code="200"}': 0.0,
                'requests_total{code="404"}': 0.0,
                "violations_total": 7.0,
                "heartbeat": 1.0,
                "maintenance": 0.0,
                "temperature": 20.0,
            },
            "gone": {"beside": 1.0},
            "about": {'pod_info{namespace="shop",pod="app-1"}': 1.0},
            "early": {"early": 0.0},
        }
        self._servers: dict[str, ThreadingHTTPServer] = {}
        self.ports: dict[str, int] = {}
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        for job in self.metrics:
            self.start(job)
        threading.Thread(target=self._traffic, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for job in tuple(self._servers):
            self.stop(job)

    def start(self, job: str) -> None:
        server = ThreadingHTTPServer(("127.0.0.1", self.ports.get(job, 0)), self._handler(job))
        self._servers[job], self.ports[job] = server, server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def stop(self, job: str) -> None:
        server = self._servers.pop(job)
        server.shutdown()
        server.server_close()

    def _traffic(self) -> None:
        while not self._ended.wait(0.5):
            self.metrics["app"]['requests_total{code="200"}'] += 10
            self.metrics["app"]["temperature"] += 0.1

    def _handler(self, job: str) -> type[BaseHTTPRequestHandler]:
        metrics = self.metrics[job]

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stamp = f" {int((time.time() + AHEAD[job]) * 1000)}" if job in AHEAD else ""
                text = "".join(f"{series} {value}{stamp}\n" for series, value in metrics.items())
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                pass

        return Handler
