import asyncio
import gzip
import json
import math
import ssl
import subprocess
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tidegate.clients import errors
from tidegate.clients.prometheus import SERIES_KEPT, SERIES_LIMIT, Endpoint, Prometheus, Series

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
AT = 1_700_000_000.25


@asynccontextmanager
async def source(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield "{}://localhost:{}".format("https" if tls else "http", runner.addresses[0][1])
    finally:
        await runner.cleanup()


def answering(body: object, status: int = 200, content_type: str = "application/json") -> Handler:
    text = body if isinstance(body, str) else json.dumps(body)

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(text=text, status=status, content_type=content_type)

    return handler


def success(result_type: str, result: object, **more: object) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": result_type, "result": result}, **more}


def element(value: str = "1", **labels: str) -> dict[str, Any]:
    return {"metric": labels, "value": [AT, value]}


@pytest.fixture
async def prometheus() -> AsyncIterator[Prometheus]:
    async with Prometheus.connect() as client:
        yield client


async def test_a_query_is_a_form_with_its_time_and_the_credentials(prometheus: Prometheus) -> None:
    seen: list[tuple[str, str, dict[str, Any], str | None]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append((request.method, request.path, dict(await request.post()), request.headers.get("Authorization")))
        return web.json_response(success("vector", [element("0.5", pod="b", app="a"), element("NaN"), element("+Inf"), element("-Inf")]))

    async with source(handler) as url:
        endpoint = Endpoint(url + "/prefix/", timeout=2.5, headers=(("Authorization", "Bearer t0ken"),))
        answer = await prometheus.instant(endpoint, 'up{a="é&"}', AT)
    form = {"query": 'up{a="é&"}', "time": "1700000000.250", "timeout": "2500ms"}
    assert seen == [("POST", "/prefix/api/v1/query", form, "Bearer t0ken")]
    assert answer.series[0] == Series((("app", "a"), ("pod", "b")), 0.5)
    assert math.isnan(answer.series[1].value)
    assert [series.value for series in answer.series[2:]] == [math.inf, -math.inf]
    assert (answer.result_type, answer.warnings) == ("vector", ())


async def test_an_answer_that_is_judged_is_cut_and_one_that_is_known_of_is_whole(prometheus: Prometheus) -> None:
    body = success("vector", [element("1", pod=str(number)) for number in range(300)])
    async with source(answering(body)) as url:
        cut, whole = await prometheus.instant(Endpoint(url), "x", AT), await prometheus.instant(Endpoint(url), "x", AT, SERIES_LIMIT)
    assert (len(cut.series), cut.total) == (SERIES_KEPT, 300)
    assert (len(whole.series), whole.total) == (300, 300)


async def test_infos_are_not_warnings(prometheus: Prometheus) -> None:
    body = success("vector", [], warnings=["partial\nresponse"], infos=["metric might not be a counter"])
    async with source(answering(body)) as url:
        answer = await prometheus.instant(Endpoint(url), "x", AT)
    assert answer.warnings == ("partial response",)
    assert answer.series == ()


@pytest.mark.parametrize(
    ("result_type", "result", "series"),
    [("scalar", [AT, "2"], (Series((), 2.0),)), ("string", [AT, "x"], ()), ("matrix", [{"metric": {}, "values": []}], ())],
)
async def test_other_results_than_vectors(prometheus: Prometheus, result_type: str, result: object, series: tuple[Series, ...]) -> None:
    async with source(answering(success(result_type, result))) as url:
        answer = await prometheus.instant(Endpoint(url), "x", AT)
    assert (answer.result_type, answer.series) == (result_type, series)


async def test_native_histograms_are_no_numbers(prometheus: Prometheus) -> None:
    """That is the query's fault, not the source's: it has to be seen before anybody is exposed."""
    async with source(answering(success("vector", [element(), {"metric": {"a": "b"}, "histogram": [AT, {}]}]))) as url:
        answer = await prometheus.instant(Endpoint(url), "rate(seconds[5m])", AT)
    assert (answer.result_type, answer.series) == ("native histogram", ())


async def test_raw_samples_of_victoria_metrics_come_as_a_stream(prometheus: Prometheus) -> None:
    body = success("matrix", [{"metric": {"__name__": "x"}, "values": [[AT - 1, "1"], [AT, "2"]]}])
    async with source(answering(body, content_type="application/stream+json")) as url:
        answer = await prometheus.raw(Endpoint(url), "x[5s]", AT)
    assert [one.values for one in answer.series] == [((AT - 1, 1.0), (AT, 2.0))]


@pytest.mark.parametrize(
    ("status", "body", "error_type", "message"),
    [
        (400, {"status": "error", "errorType": "bad_data", "error": "1:3: parse error\n\x1b[31m"}, "bad_data", "1:3: parse error [31m"),
        (422, {"status": "error", "errorType": "execution", "error": "x" * 900}, "execution", "x" * 199 + "…"),
        (200, {"status": "error", "errorType": "timeout", "error": "query timed out"}, "timeout", "query timed out"),
        (500, {"what": "ever"}, "", "HTTP 500"),
        (200 + 103, {}, "", "redirects are not followed"),
    ],
)
async def test_a_no_has_its_reason(prometheus: Prometheus, status: int, body: object, error_type: str, message: str) -> None:
    async with source(answering(body, status)) as url:
        with pytest.raises(errors.SourceRefused) as refusal:
            await prometheus.instant(Endpoint(url), "x", AT)
    assert (refusal.value.status, refusal.value.error_type, refusal.value.message) == (status, error_type, message)


async def test_an_error_page_is_not_quoted(prometheus: Prometheus) -> None:
    async with source(answering("<html>secret of the proxy</html>", 502, "text/html")) as url:
        with pytest.raises(errors.SourceRefused, match=r"^HTTP 502: HTTP 502$"):
            await prometheus.instant(Endpoint(url), "x", AT)


async def test_a_redirect_leads_nowhere(prometheus: Prometheus) -> None:
    visits: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        visits.append(request.path)
        raise web.HTTPTemporaryRedirect("/elsewhere")

    async with source(handler) as url:
        with pytest.raises(errors.SourceRefused, match="redirects are not followed"):
            await prometheus.instant(Endpoint(url), "x", AT)
    assert visits == ["/api/v1/query"]


@pytest.mark.parametrize(
    "body",
    [
        "not json",
        "[" * 200_000,
        "[1, 2]",
        {"status": "success"},
        success("vector", {"not": "a list"}),
        success("tensor", []),
        success("vector", [1]),
        success("vector", [{"value": [AT, "1"]}]),
        success("vector", [{"metric": {"a": 1}, "value": [AT, "1"]}]),
        success("vector", [{"metric": {}, "value": [AT, 1]}]),
        success("vector", [{"metric": {}, "value": [AT, "many"]}]),
        success("vector", [{"metric": {}, "value": ["now", "1"]}]),
        success("vector", [{"metric": {}, "value": [True, "1"]}]),
        success("vector", [{"metric": {}, "value": [10**400, "1"]}]),
        success("vector", [{"metric": {}, "value": [math.inf, "1"]}]),
        success("vector", [{"metric": {}, "value": [AT]}]),
        success("scalar", []),
    ],
)
async def test_garbage_is_a_bad_answer(prometheus: Prometheus, body: object) -> None:
    async with source(answering(body)) as url:
        with pytest.raises(errors.SourceBadAnswer):
            await prometheus.instant(Endpoint(url), "x", AT)


async def test_more_series_than_can_be_read_are_the_querys_fault(prometheus: Prometheus) -> None:
    async with source(answering(success("vector", [element() for _ in range(10_001)]))) as url:
        with pytest.raises(errors.SourceTooMuch, match="10001 series, more than 10000: aggregate them"):
            await prometheus.instant(Endpoint(url), "x", AT)


async def test_numbers_come_as_json_or_not_at_all(prometheus: Prometheus) -> None:
    async with source(answering(success("vector", []), content_type="text/html")) as url:
        with pytest.raises(errors.SourceBadAnswer, match="text/html"):
            await prometheus.instant(Endpoint(url), "x", AT)


async def test_an_endless_answer_is_cut_off_while_it_streams(prometheus: Prometheus) -> None:
    sent = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while True:
            await response.write(b" " * 65536)
            sent += 65536

    async with source(handler) as url:
        with pytest.raises(errors.SourceBadAnswer, match="larger than 1048576 bytes"):
            await prometheus.instant(Endpoint(url), "x", AT)
    assert sent < 64 * 1024 * 1024


async def test_compressed_bytes_are_not_inflated(prometheus: Prometheus) -> None:
    bomb = gzip.compress(bytes(16 * 1024 * 1024))

    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.headers["Accept-Encoding"] == "identity"
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})

    async with source(handler) as url:
        tracemalloc.start()
        with pytest.raises(errors.SourceBadAnswer, match="compressed"):
            await prometheus.instant(Endpoint(url), "x", AT)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 4 * 1024 * 1024


async def test_a_slow_drip_ends_at_the_total_time(prometheus: Prometheus) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for _ in range(1000):
            await response.write(b" ")
            await asyncio.sleep(0.01)
        return response

    async with source(handler) as url:
        before = asyncio.get_running_loop().time()
        with pytest.raises(errors.SourceTimeout, match=r"within 0\.3 s"):
            await prometheus.instant(Endpoint(url, timeout=0.3), "x", AT)
        assert asyncio.get_running_loop().time() - before < 1.0


async def test_nobody_there_is_unreachable_and_the_url_stays_private(prometheus: Prometheus) -> None:
    async with source(answering({})) as url:
        pass
    for gone in (url.replace("http://", "http://me:pa55word@"), "http://me:pa55word@no-such-host.invalid:1", "no url"):
        with pytest.raises(errors.SourceUnreachable) as silence:
            await prometheus.instant(Endpoint(gone), "x", AT)
        assert "pa55word" not in str(silence.value)


async def test_a_cut_connection_is_unreachable(prometheus: Prometheus) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async with source(handler) as url:
        with pytest.raises(errors.SourceUnreachable):
            await prometheus.instant(Endpoint(url), "x", AT)


@pytest.fixture
def certificate_and_key(tmp_path: Path) -> tuple[Path, Path]:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", *names]
    subprocess.run([*make, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


async def test_https_is_verified_with_the_given_authority(prometheus: Prometheus, certificate_and_key: tuple[Path, Path]) -> None:
    certificate, _ = certificate_and_key
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*certificate_and_key)
    async with source(answering(success("vector", [])), tls) as url:
        trusted = Endpoint(url, ca_bundle=certificate.read_text())
        assert (await prometheus.instant(trusted, "x", AT)).series == ()
        with pytest.raises(errors.SourceUnreachable, match="certificate verify failed"):
            await prometheus.instant(Endpoint(url), "x", AT)
        with pytest.raises(errors.SourceUnreachable, match="caBundle"):
            await prometheus.instant(Endpoint(url, ca_bundle="nonsense"), "x", AT)


async def test_the_environment_chooses_no_proxy(prometheus: Prometheus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with source(answering(success("vector", []))) as url:
        assert (await prometheus.instant(Endpoint(url), "x", AT)).series == ()


async def test_an_endpoint_keeps_its_credentials_out_of_logs() -> None:
    assert "t0ken" not in repr(Endpoint("http://x", headers=(("Authorization", "Bearer t0ken"),)))


async def test_no_series_of_a_part_of_the_source_does_not_say_that_there_are_none(prometheus: Prometheus) -> None:
    """Thanos, while a store is away."""
    for data, warnings, known in (([], [], False), ([{"__name__": "x"}], ["a store is away"], True)):
        async with source(answering({"status": "success", "data": data, "warnings": warnings})) as url:
            assert await prometheus.has_series(Endpoint(url), "x", AT - 1, AT) is known
    async with source(answering({"status": "success", "data": [], "warnings": ["a store is away"]})) as url:
        with pytest.raises(errors.SourceBadAnswer, match="not all of the source has answered: a store is away"):
            await prometheus.has_series(Endpoint(url), "x", AT - 1, AT)
