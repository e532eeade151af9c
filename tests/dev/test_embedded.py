"""Processes that live no longer than their parent, and the control plane that is made of them."""

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dev.support import program
from tidegate_dev import launch
from tidegate_dev.children import Children
from tidegate_dev.embedded import ControlPlane, answers, free_ports, plain_environment
from tidegate_dev.errors import ClusterError
from tidegate_dev.kube import Kube
from tidegate_dev.settings import DEV

PATIENCE_SECONDS = 10.0


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    children = Children(tmp_path / "logs")
    yield children
    children.stop()


def gone(pid: int) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while launch.start_time(pid) is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    return launch.start_time(pid) is None


def noted(path: Path) -> int:
    """The pid that a process has written."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (path.exists() and path.read_text().endswith("\n")) and time.monotonic() < deadline:
        time.sleep(0.01)
    return int(path.read_text())


def test_children_end_in_the_reverse_order_and_one_that_ended_by_itself_is_told_with_its_log(children: Children, tmp_path: Path) -> None:
    script = program(tmp_path / "script", '#!/bin/sh\ntrap "echo $1 >> $2; exit" TERM\necho begun\nwhile :; do sleep 0.01; done\n')
    for name in ("first", "second"):
        children.start(name, [script, name, str(tmp_path / "ended")], plain_environment())
    for name in ("first", "second"):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (tmp_path / "logs" / f"{name}.log").read_text() != "begun\n" and time.monotonic() < deadline:
            time.sleep(0.01)
    children.check()
    children.stop()
    assert (tmp_path / "ended").read_text().split() == ["second", "first"]
    children.start("third", ["sh", "-c", f"echo $$ > {tmp_path}/pid; echo no disk; exit 3"], plain_environment())
    assert gone(noted(tmp_path / "pid"))
    with pytest.raises(ClusterError, match=r"third has ended \(3\)") as ended:
        children.check()
    assert "no disk" in ended.value.report()


def test_a_killed_parent_leaves_no_child_and_ctrl_c_reaches_the_parent_alone(tmp_path: Path) -> None:
    begin = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {str(DEV)!r})
from tidegate_dev.children import Children
Children(Path({str(tmp_path)!r})).start("child", ["sh", "-c", "echo $$ > {tmp_path}/pid; exec sleep 600"], {{"PATH": "/usr/bin:/bin"}})
time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", begin], start_new_session=True)
    child = noted(tmp_path / "pid")
    assert os.getpgid(child) == child != os.getpgid(parent.pid)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert gone(child)


class Noting(Children):
    """Starts nothing."""

    def __init__(self) -> None:
        self.started: dict[str, list[str]] = {}

    def start(self, name: str, argv: object, env: object) -> None:
        assert isinstance(argv, list)
        self.started[name] = [str(word) for word in argv]

    def check(self) -> None:
        pass


def test_everything_listens_on_loopback_or_on_sockets_in_the_caller_s_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    children = Noting()
    plane = ControlPlane(tmp_path, children, Path, (6443, 9090))
    monkeypatch.setattr(plane, "wait", lambda *_: None)
    (tmp_path / "certificates").mkdir()
    (tmp_path / "certificates" / "apiserver.crt").write_text("certificate")
    plane.start_api_server(Kube(Path("kubectl"), tmp_path / "kubeconfig"), tmp_path / "kubeconfig")
    plane.start_prometheus("1s", {("shop", "operator"): [81], ("shop", "trading"): [82, 83]})
    for words in children.started.values():
        for word in words[1:]:
            flag, _, value = word.partition("=")
            if "listen" in flag or "bind" in flag or "servers" in flag:
                assert value.startswith(("127.0.0.1", f"unix://{tmp_path}")), word
    assert (tmp_path / "tokens.csv").stat().st_mode & 0o077 == 0
    assert (tmp_path / "kubeconfig").stat().st_mode & 0o077 == 0
    config = json.loads((tmp_path / "prometheus.yml").read_text())
    (scraped,) = config["scrape_configs"]
    pods = [(one["targets"], one["labels"]["pod"]) for one in scraped["static_configs"]]
    assert pods == [(["127.0.0.1:81"], "operator"), (["127.0.0.1:82"], "trading-0"), (["127.0.0.1:83"], "trading-1")]


def test_ports_are_free_and_all_different() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert not any(answers(f"http://127.0.0.1:{port}/") for port in ports)


def test_an_answer_is_one_that_says_200_asked_past_any_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/readyz" else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert (answers(f"{url}/readyz"), answers(f"{url}/other")) == (True, False)
        server.shutdown()
    assert "http_proxy" not in plain_environment()
