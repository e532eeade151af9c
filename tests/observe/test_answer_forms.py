"""What Prometheus and those that speak like it answer, in the forms that people have reported, and what becomes of each."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.builders import context, gate
from tests.decide.judging import judged
from tidegate.api.rollout_status import Verdict
from tidegate.clients.prometheus import Endpoint, Prometheus
from tidegate.domain.answers import GateAnswer
from tidegate.observe.age import Source
from tidegate.observe.questions import Questions

AT = 1_800_000_000.0
DOCS = Path(__file__).resolve().parents[2] / "docs"
ONE: dict[str, Any] = {"resultType": "vector", "result": [{"metric": {}, "value": [AT, "0"]}]}


def success(**more: object) -> str:
    return json.dumps({"status": "success", "data": ONE, **more})


def error(kind: str, text: str) -> str:
    return json.dumps({"status": "error", "errorType": kind, "error": text})


@dataclass(frozen=True)
class Form:
    """One answer to a gate's query. `verdict`: what docs/rollouts.md says that a gate is told by it."""

    source: str
    what: str
    status: int
    body: str
    verdict: str
    content_type: str = "application/json"


VALUE, WARNING, ERROR, REFUSED = "its value", "PrometheusWarning", "PrometheusError", "QueryRefused"
FORMS = (
    Form("Prometheus", "200 with `infos`", 200, success(infos=["PromQL info: metric might not be a counter"]), VALUE),
    Form(
        "Prometheus 2.48 to 2.53",
        "200, infos among `warnings`",
        200,
        success(warnings=["PromQL info: metric might not be a counter"]),
        VALUE,
    ),
    Form("Prometheus", "200 with `warnings`", 200, success(warnings=["PromQL warning: mix of classic and native histograms"]), WARNING),
    Form("Prometheus", "400 `bad_data`", 400, error("bad_data", "invalid parameter query"), REFUSED),
    Form("Prometheus", "422 `execution`: many-to-many, too many samples", 422, error("execution", "many-to-many matching"), REFUSED),
    Form("Prometheus", "503 `timeout`, `canceled`", 503, error("timeout", "query timed out in expression evaluation"), ERROR),
    Form("Thanos", "200, partial response", 200, success(warnings=["No StoreAPIs matched for this query"]), WARNING),
    Form(
        "Thanos", "422 `execution`: a store is unreachable", 422, error("execution", "expanding series: proxy Series(): rpc error"), REFUSED
    ),
    Form(
        "Mimir, Cortex", "422 `execution`: a limit, a store that failed", 422, error("execution", "err-mimir-max-chunks-per-query"), REFUSED
    ),
    Form("Mimir, Cortex", "429 `too_many_requests`", 429, error("too_many_requests", "too many outstanding requests"), ERROR),
    Form("Mimir, Cortex", "401 `no org id`", 401, "no org id", ERROR, "text/plain"),
    Form("Mimir, Cortex", "500 `internal`, 503 with a body", 503, error("unavailable", "too many unhealthy instances in the ring"), ERROR),
    Form("VictoriaMetrics", "200 with `isPartial: true`", 200, success(isPartial=True), WARNING),
    Form(
        "VictoriaMetrics",
        '422 `"422"`: a limit, a storage that failed',
        422,
        error("422", "cannot fetch query results from vmstorage"),
        REFUSED,
    ),
    Form("VictoriaMetrics", '503 `"503"`: too many requests at once', 503, error("503", "search.maxConcurrentRequests"), ERROR),
    Form("a proxy", "302, 502, 200 with a page", 200, "<html>log in</html>", ERROR, "text/html"),
    Form("a proxy", "400 or 422 with a page", 400, "<html>The plain HTTP request was sent to HTTPS port</html>", ERROR, "text/html"),
)


@asynccontextmanager
async def asked_of(*forms: Form | None) -> AsyncIterator[list[GateAnswer]]:
    """What a gate is told by a source that answers its query in these forms, one after another; None is a plain 0."""
    left = list(forms)

    async def handler(request: web.Request) -> web.Response:
        is_age = "timestamp(" in str((await request.post())["query"])
        labels = {"selector": "0"} if is_age else {}
        value = {"metric": labels, "value": [AT, str(AT) if is_age else "0"]}
        form = None if is_age else left[0]
        if form is None:
            return web.json_response({"status": "success", "data": {"resultType": "vector", "result": [value]}})
        return web.Response(status=form.status, text=form.body, content_type=form.content_type)

    app = web.Application()
    app.router.add_post("/api/v1/query", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with Prometheus.connect() as client:
            questions, out = Questions(client), list[GateAnswer]()
            source = Source("production", Endpoint(f"http://127.0.0.1:{runner.addresses[0][1]}"))
            for number in range(len(forms)):
                out.append(GateAnswer(await questions.answer(source, "errors", AT + number)))
                left.pop(0)
            yield out
    finally:
        await runner.cleanup()


def told(*answers: GateAnswer) -> str:
    """What the gate is told by the last of the answers."""
    statuses = judged(gate(), *((one, context(number)) for number, one in enumerate(answers)))
    return VALUE if statuses[-1].verdict is Verdict.ADVANCE else str(statuses[-1].no_data_reason)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.source}: {form.what}")
async def test_each_form_of_an_answer_is_what_the_docs_say(form: Form) -> None:
    async with asked_of(form) as answers:
        assert told(*answers) == form.verdict
    async with asked_of(None, form) as answers:
        assert told(*answers) == (ERROR if form.verdict is REFUSED else form.verdict), "the query was answered before"


def test_the_docs_have_each_form() -> None:
    section = (DOCS / "rollouts.md").read_text().split("### What sources answer\n", 1)[1].split("\n#", 1)[0]
    rows = [row.split(" | ") for row in re.findall(r"^\| (.+) \|$", section, re.MULTILINE)][1:]
    named = {VALUE: "its value", WARNING: "no data, `PrometheusWarning`", ERROR: "no data, `PrometheusError`"}
    named[REFUSED] = "`QueryRefused`; once it was answered, `PrometheusError`"
    assert rows == [[form.source, form.what, named[form.verdict]] for form in FORMS]


async def test_who_wants_credentials_or_a_tenant_is_told_with_the_remedy() -> None:
    no_tenant = next(form for form in FORMS if form.status == 401)
    async with asked_of(no_tenant) as answers:
        assert "spec.prometheus.secretRef, basicAuth or headers" in str(answers[0].value)
