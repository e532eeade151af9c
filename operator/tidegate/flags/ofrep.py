"""OFREP over HTTP: evaluates one flag, or all of them, for clients that don't evaluate themselves."""

import asyncio
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from aiohttp import ETag, web
from openfeature.evaluation_context import EvaluationContext

from tidegate.flags.document import Document
from tidegate.flags.evaluation import ContextError, Evaluation, evaluate, evaluate_all, read_context
from tidegate.flags.flag_settings import FlagServerSettings
from tidegate.flags.metrics import Metrics
from tidegate.flags.store import SELECTOR_HEADER, BadSelectorError, FlagSet, FlagSets, SelectorError
from tidegate.flags.wrong_selectors import WrongSelectors

log = logging.getLogger("tidegate.flags.ofrep")

_T = TypeVar("_T")


class _RefusedError(Exception):
    """The request isn't evaluated, for a reason that the client gets."""

    def __init__(self, status: int, code: str, details: str) -> None:
        super().__init__(details)
        self.status, self.code, self.details = status, code, details


class OfrepService:
    """The two calls of OFREP, each below the root and below `/sets/<namespace>/<configmap>`."""

    def __init__(self, settings: FlagServerSettings, sets: FlagSets, metrics: Metrics, wrong_selectors: WrongSelectors) -> None:
        self._settings = settings
        self._sets = sets
        self._wrong_selectors = wrong_selectors
        self._metrics = metrics
        self._in_progress = 0
        self._idle = asyncio.Event()
        self._idle.set()
        # Targeting rules are programs that users wrote. In threads of their own, a slow one can't hold up the pushing of a rollback.
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="ofrep")

    def routes(self) -> list[web.RouteDef]:
        """What an HTTP server adds to its routes."""
        return [
            web.post(f"{prefix}/ofrep/v1/evaluate/flags{suffix}", handler)
            for prefix in ("", "/sets/{namespace}/{name}")
            for suffix, handler in (("", self.evaluate_flags), ("/{key:.+}", self.evaluate_flag))
        ]

    async def drain(self, seconds: float) -> None:
        """Waits until no request is in progress, for this long at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    def close(self) -> None:
        """Lets the threads end; requests in progress must be over."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def evaluate_flag(self, request: web.Request) -> web.Response:
        """POST …/evaluate/flags/{key}: 200 with the evaluation, 404 for an unknown flag, 400 for one that can't be evaluated."""
        return await self._guard(request, self._evaluate_flag)

    async def evaluate_flags(self, request: web.Request) -> web.Response:
        """POST …/evaluate/flags: every flag of the set; 304 where If-None-Match names what the answer would be."""
        return await self._guard(request, self._evaluate_flags)

    async def _evaluate_flag(self, request: web.Request, flag_set: FlagSet, document: Document, context: EvaluationContext) -> web.Response:
        flag, metadata = request.match_info["key"], self._settings.ofrep_metadata
        evaluation = await self._in_thread(lambda: evaluate(document, flag, context, metadata=metadata))
        _count(flag_set, [evaluation])
        return _json(evaluation.status, evaluation.body)

    async def _evaluate_flags(
        self, request: web.Request, flag_set: FlagSet, document: Document, context: EvaluationContext
    ) -> web.Response:
        def respond() -> tuple[bytes, list[Evaluation]]:
            body, evaluations = evaluate_all(document, context, metadata=self._settings.ofrep_metadata)
            return json.dumps(body, separators=(",", ":")).encode(), evaluations

        payload, evaluations = await self._in_thread(respond)
        _count(flag_set, evaluations)
        # A hash of the answer covers the context too. With one of the document alone another user would get 304. It is weak, since
        # proxies that compress answers take strong ones off.
        etag = ETag(hashlib.sha256(payload).hexdigest()[:32], is_weak=True)
        known = any(each.value in (etag.value, "*") for each in request.if_none_match or ())
        response = web.Response(status=304) if known else web.Response(body=payload, content_type="application/json")
        response.etag = etag
        return response

    async def _guard(
        self,
        request: web.Request,
        answer: Callable[[web.Request, FlagSet, Document, EvaluationContext], Awaitable[web.Response]],
    ) -> web.Response:
        """Bounds the request in number, size and time, and turns whatever is wrong with it into an OFREP answer."""
        if self._in_progress >= self._settings.max_requests:
            self._metrics.refused.labels("ofrep").inc()
            # Not 429: for that a client stops asking for a while, other replicas too.
            return self._refuse(request, 503, "GENERAL", f"{self._in_progress} requests are in progress already: try again")
        self._in_progress += 1
        self._idle.clear()
        try:
            async with asyncio.timeout(self._settings.request_seconds):
                flag_set = self._choose(request)
                response = await answer(request, flag_set, _document(flag_set), await self._context(request))
            if self._sets.closing:
                response.force_close()
            return response
        except _RefusedError as refusal:
            return self._refuse(request, refusal.status, refusal.code, refusal.details)
        except TimeoutError:
            return self._refuse(request, 503, "GENERAL", f"the request took longer than {self._settings.request_seconds:g} s")
        finally:
            self._in_progress -= 1
            if self._in_progress == 0:
                self._idle.set()

    def _choose(self, request: web.Request) -> FlagSet:
        if not self._sets.synced.is_set():
            raise _RefusedError(503, "GENERAL", f"waiting for {self._sets.waiting_for}")
        header = request.headers.get(SELECTOR_HEADER)
        place = request.match_info
        in_path = f"{place['namespace']}/{place['name']}" if "namespace" in place else None
        try:
            if header and in_path and header != in_path:
                raise BadSelectorError(f"the path names flag set {in_path}, but the header {SELECTOR_HEADER} another one")
            return self._sets.choose(in_path or header)
        except SelectorError as error:
            self._wrong_selectors.log(request.remote or "", in_path or header or "", error)
            status, code = (400, "GENERAL") if isinstance(error, BadSelectorError) else (404, "FLAG_NOT_FOUND")
            raise _RefusedError(status, code, str(error)) from None

    async def _context(self, request: web.Request) -> EvaluationContext:
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            limit = self._settings.max_body_bytes
            raise _RefusedError(413, "INVALID_CONTEXT", f"the body is larger than {limit} bytes") from None
        try:
            return read_context(json.loads(body) if body.strip() else {})
        except ContextError as error:
            raise _RefusedError(400, "INVALID_CONTEXT", str(error)) from None
        except (ValueError, RecursionError) as error:
            raise _RefusedError(400, "PARSE_ERROR", f"the body is not JSON: {error}") from None

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _refuse(self, request: web.Request, status: int, code: str, details: str) -> web.Response:
        log.debug("request refused: %s", details, extra={"status": status})
        key = request.match_info.get("key")
        body = {"errorCode": code, "errorDetails": details} if key is None else {"key": key, "errorCode": code, "errorDetails": details}
        response = _json(status, body)
        if status == 503:  # whatever is missing here, another replica may have it, and the next connection may lead there
            response.headers["Retry-After"] = "1"
            response.force_close()
        return response


def _count(flag_set: FlagSet, evaluations: list[Evaluation]) -> None:
    for reason, number in Counter(each.reason for each in evaluations).items():
        flag_set.evaluations[reason] += number


def _document(flag_set: FlagSet) -> Document:
    if flag_set.document is None:
        raise _RefusedError(503, "GENERAL", f"flag set {flag_set.key} has had no valid document yet: {flag_set.fault}")
    return flag_set.document


def _json(status: int, body: dict[str, Any]) -> web.Response:
    return web.Response(status=status, body=json.dumps(body, separators=(",", ":")).encode(), content_type="application/json")
