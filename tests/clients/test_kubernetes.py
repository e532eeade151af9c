import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.apiserver import ApiServer, Fault
from tidegate.clients import errors
from tidegate.clients.kubernetes import Kubernetes
from tidegate.clients.resources import CONFIG_MAPS, FEATURE_ROLLOUTS, LEASES, ROLLOUT_POLICIES, SECRETS, Resource


def config_map(name: str, namespace: str = "shop", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


def rollout(name: str) -> dict[str, Any]:
    return {"apiVersion": "tidegate.io/v1alpha1", "kind": "FeatureRollout", "metadata": {"name": name, "namespace": "shop"}, "spec": {}}


async def test_a_write_is_made_as_tidegate_and_validated_strictly(server: ApiServer, kubernetes: Kubernetes) -> None:
    created = await kubernetes.create(CONFIG_MAPS, config_map("flags", color="red"))
    await kubernetes.replace(CONFIG_MAPS, created | {"data": {"color": "blue"}})
    await kubernetes.merge_patch(CONFIG_MAPS, "shop", "flags", {"data": {"size": "xl"}})
    patched = await kubernetes.json_patch(CONFIG_MAPS, "shop", "flags", [{"op": "remove", "path": "/data/color"}])
    assert patched["data"] == {"size": "xl"}
    writes = [request for request in server.requests if request.verb in ("create", "update", "patch")]
    assert len(writes) == 4
    assert all(write.query["fieldManager"] == "tidegate" and write.query["fieldValidation"] == "Strict" for write in writes)
    assert [write.content_type for write in writes[2:]] == ["application/merge-patch+json", "application/json-patch+json"]


async def test_cluster_scoped_objects_have_no_namespace_in_their_path(server: ApiServer, kubernetes: Kubernetes) -> None:
    await server.put("rolloutpolicies", "", {"metadata": {"name": "production"}, "spec": {"a": 1}})
    assert (await kubernetes.get(ROLLOUT_POLICIES, "", "production"))["spec"] == {"a": 1}


async def test_pages_hold_everything_once_as_of_one_version(server: ApiServer, kubernetes: Kubernetes) -> None:
    for number in range(1203):
        server.store.create(server.kinds[0], "shop" if number % 3 else "bank", rollout(f"r{number:04}"), "somebody")
    at_first = str(server.store.version)
    names, versions = [], set()
    async for page in kubernetes.pages(FEATURE_ROLLOUTS):
        names += [item["metadata"]["name"] for item in page.items]
        versions.add(page.resource_version)
        await server.put("featurerollouts", "shop", rollout(f"late{len(names)}"))
        assert len(page.items) <= 500
    assert sorted(names) == [f"r{number:04}" for number in range(1203)]
    assert versions == {at_first}
    assert sum([len(page.items) async for page in kubernetes.pages(FEATURE_ROLLOUTS, "bank")]) == 401


async def test_a_label_selector_reaches_the_server_unharmed(server: ApiServer, kubernetes: Kubernetes) -> None:
    labelled = config_map("flags")
    labelled["metadata"]["labels"] = {"tidegate.io/flag-set": "true", "a": "b"}
    await server.put("configmaps", "shop", labelled)
    await server.put("configmaps", "shop", config_map("other"))
    pages = kubernetes.pages(CONFIG_MAPS, label_selector="tidegate.io/flag-set=true,a=b")
    assert [item["metadata"]["name"] async for page in pages for item in page.items] == ["flags"]


def with_notes(name: str, size: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "annotations": {"notes": "x" * size}}, "data": {"text": "x" * size}}


@pytest.mark.parametrize("metadata_only", [True, False])
async def test_pages_get_smaller_where_objects_are_large_and_larger_again(
    server: ApiServer, kubernetes: Kubernetes, monkeypatch: pytest.MonkeyPatch, metadata_only: bool
) -> None:
    monkeypatch.setattr("tidegate.clients.kubernetes.PAGE_LIMIT", 50_000)
    for number in range(60):
        await server.put("configmaps", "shop", with_notes(f"f{number:02}", 10_000 if number < 20 else 10))
    pages = [page.items async for page in kubernetes.pages(CONFIG_MAPS, "shop", metadata_only=metadata_only)]
    assert [item["metadata"]["name"] for page in pages for item in page] == [f"f{number:02}" for number in range(60)]
    assert all(("data" in item) is not metadata_only for page in pages for item in page)
    assert max(map(len, pages)) > 10
    assert len(server.asked("list")) < 40


@pytest.mark.parametrize("large", ["f00", "f10", "f19"])
async def test_an_object_that_is_too_large_by_itself_is_left_out_and_named(
    server: ApiServer, kubernetes: Kubernetes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, large: str
) -> None:
    monkeypatch.setattr("tidegate.clients.kubernetes.PAGE_LIMIT", 20_000)
    names = [f"f{number:02}" for number in range(20)]
    for name in names:
        await server.put("configmaps", "shop", with_notes(name, 90_000 if name == large else 10))
    pages = kubernetes.pages(CONFIG_MAPS, "shop", metadata_only=True)
    assert [item["metadata"]["name"] async for page in pages for item in page.items] == [name for name in names if name != large]
    (told,) = caplog.records
    assert (told.levelname, told.getMessage()) == (
        "ERROR",
        f"list configmaps shop: the answer is larger than 20000 bytes: object {large} is left out",
    )


async def test_what_does_not_tell_the_way_to_the_next_page_is_an_error(
    server: ApiServer, kubernetes: Kubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Custom resources in full are written in another order."""
    monkeypatch.setattr("tidegate.clients.kubernetes.PAGE_LIMIT", 10)
    monkeypatch.setattr("tests.fakes.apiserver._compact", lambda answer: json.dumps(dict(reversed(answer.items()))))
    await server.put("configmaps", "shop", config_map("flags"))
    with pytest.raises(errors.TooLarge, match="larger than 10 bytes"):
        await anext(kubernetes.pages(CONFIG_MAPS, "shop"))


async def test_an_expired_list_is_gone(server: ApiServer, kubernetes: Kubernetes) -> None:
    for number in range(600):
        server.store.create(server.kinds[0], "shop", rollout(f"r{number}"), "somebody")
    pages = kubernetes.pages(FEATURE_ROLLOUTS)
    await anext(pages)
    server.compact()
    with pytest.raises(errors.Gone):
        await anext(pages)


async def test_status_is_written_apart_from_spec_and_only_on_the_version_that_was_read(server: ApiServer, kubernetes: Kubernetes) -> None:
    read = await server.put("featurerollouts", "shop", rollout("search") | {"spec": {"paused": False}})
    version = read["metadata"]["resourceVersion"]
    patch = {"status": {"percent": 10}, "spec": {"paused": True}}
    written = await kubernetes.merge_patch(FEATURE_ROLLOUTS, "shop", "search", patch, subresource="status", resource_version=version)
    assert written["status"] == {"percent": 10}
    assert written["spec"] == {"paused": False}
    assert written["metadata"]["generation"] == read["metadata"]["generation"]
    with pytest.raises(errors.Conflict, match=r"^patch featurerollouts/status shop/search: .*modified"):
        await kubernetes.merge_patch(FEATURE_ROLLOUTS, "shop", "search", patch, subresource="status", resource_version=version)
    replaced = await kubernetes.replace(FEATURE_ROLLOUTS, written | {"status": {"percent": 20}}, subresource="status")
    assert replaced["status"] == {"percent": 20}


async def test_a_json_patch_on_another_version_is_a_conflict_and_a_wrong_one_is_invalid(server: ApiServer, kubernetes: Kubernetes) -> None:
    read = await server.put("configmaps", "shop", config_map("flags", color="red"))
    version = read["metadata"]["resourceVersion"]
    await server.put("configmaps", "shop", config_map("flags", color="green"))
    paint = [{"op": "replace", "path": "/data/color", "value": "blue"}]
    with pytest.raises(errors.Conflict):
        await kubernetes.json_patch(CONFIG_MAPS, "shop", "flags", paint, resource_version=version)
    with pytest.raises(errors.Invalid):
        await kubernetes.json_patch(CONFIG_MAPS, "shop", "flags", [{"op": "remove", "path": "/data/none"}])
    now = await kubernetes.get(CONFIG_MAPS, "shop", "flags")
    painted = await kubernetes.json_patch(CONFIG_MAPS, "shop", "flags", paint, resource_version=now["metadata"]["resourceVersion"])
    assert painted["data"] == {"color": "blue"}


DENIED = "ValidatingAdmissionPolicy 'epochs' with binding 'epochs' denied request: the epoch must grow"


@pytest.mark.parametrize(
    ("status", "reason", "message", "expected"),
    [
        (400, "BadRequest", 'strict decoding error: unknown field "spec.foo"', errors.Invalid),
        (403, "Forbidden", "no access", errors.Forbidden),
        (403, "Forbidden", 'admission webhook "x.y" denied the request: no', errors.Refused),
        (404, "NotFound", "not found", errors.NotFound),
        (409, "AlreadyExists", "exists", errors.AlreadyExists),
        (409, "Conflict", "modified", errors.Conflict),
        (410, "Expired", "too old", errors.Gone),
        (413, "RequestEntityTooLarge", "too large", errors.Invalid),
        (415, "UnsupportedMediaType", "no", errors.Invalid),
        (422, "Invalid", "spec.percent: must be at most 100", errors.Invalid),
        (422, "Invalid", f'configmaps "flags" is forbidden: {DENIED}', errors.Refused),
        (500, "InternalError", "etcd", errors.Unavailable),
        (503, "ServiceUnavailable", "later", errors.Unavailable),
        (504, "Timeout", "etcd", errors.Unavailable),
    ],
)
async def test_each_refusal_has_a_type_and_says_what_was_asked(
    server: ApiServer, kubernetes: Kubernetes, status: int, reason: str, message: str, expected: type[errors.ApiError]
) -> None:
    server.faults.append(Fault("create", "configmaps", status=status, reason=reason, message=message))
    with pytest.raises(errors.ApiError) as refusal:
        await kubernetes.create(CONFIG_MAPS, config_map("flags"))
    assert type(refusal.value) is expected
    assert str(refusal.value) == f"create configmaps shop/flags: {message}"
    assert refusal.value.status == status


@pytest.mark.parametrize(("said", "seconds"), [("7", 7.0), ("86400", 60.0)])
async def test_patience_is_asked_for_in_seconds_and_bounded(server: ApiServer, kubernetes: Kubernetes, said: str, seconds: float) -> None:
    server.faults.append(Fault("get", status=429, reason="TooManyRequests", headers={"Retry-After": said}))
    with pytest.raises(errors.TooManyRequests) as refusal:
        await kubernetes.get(CONFIG_MAPS, "shop", "flags")
    assert refusal.value.retry_after == seconds


async def test_a_kind_that_is_not_served_is_not_found(kubernetes: Kubernetes) -> None:
    with pytest.raises(errors.NotFound, match=r"list models: .* CRD"):
        await anext(kubernetes.pages(Resource("tidegate.io", "v1alpha1", "models")))


async def test_silence_ends_in_time_and_frees_the_connection(server: ApiServer, kubernetes: Kubernetes) -> None:
    server.faults.append(Fault("get", how="hang", times=8))
    before = asyncio.get_running_loop().time()
    asked = [kubernetes.get(CONFIG_MAPS, "shop", "flags", time_limit=0.2) for _ in range(8)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(answer, errors.Unavailable) for answer in answers)
    assert asyncio.get_running_loop().time() - before < 1.0, "waiting for a free connection counts"
    server.faults.clear()
    await server.put("configmaps", "shop", config_map("flags"))
    assert (await kubernetes.get(CONFIG_MAPS, "shop", "flags", time_limit=1.0))["metadata"]["name"] == "flags"


async def test_a_lost_reply_is_unavailable_although_the_write_happened(server: ApiServer, kubernetes: Kubernetes) -> None:
    server.faults.append(Fault("create", how="lose_reply"))
    with pytest.raises(errors.Unavailable):
        await kubernetes.create(CONFIG_MAPS, config_map("flags"))
    with pytest.raises(errors.AlreadyExists):
        await kubernetes.create(CONFIG_MAPS, config_map("flags"))


async def test_nothing_is_retried_here(server: ApiServer, kubernetes: Kubernetes) -> None:
    server.faults.append(Fault("get", status=503))
    with pytest.raises(errors.Unavailable):
        await kubernetes.get(CONFIG_MAPS, "shop", "flags")
    assert len(server.asked("get")) == 1


async def test_no_server_is_unavailable(tmp_path: Path) -> None:
    async with ApiServer.running() as server:
        kubeconfig = server.kubeconfig(tmp_path)
    async with Kubernetes.connect(kubeconfig) as kubernetes:
        with pytest.raises(errors.Unavailable, match="get leases kube-system/x"):
            await kubernetes.get(LEASES, "kube-system", "x")


async def test_the_token_is_read_again_after_a_401(server: ApiServer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first")
    server.tokens = {"first"}
    await server.put("configmaps", "shop", config_map("flags"))
    async with Kubernetes.connect(server.kubeconfig(tmp_path, token)) as kubernetes:
        await kubernetes.get(CONFIG_MAPS, "shop", "flags")
        token.write_text("second")
        server.tokens = {"second"}
        answers = await asyncio.gather(*(kubernetes.get(CONFIG_MAPS, "shop", "flags") for _ in range(10)))
        assert len(answers) == 10
        server.tokens = {"third"}
        with pytest.raises(errors.Unauthorized):
            await kubernetes.get(CONFIG_MAPS, "shop", "flags")


async def test_secrets_and_tokens_stay_out_of_messages(server: ApiServer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("hush-hush")
    async with Kubernetes.connect(server.kubeconfig(tmp_path, token)) as kubernetes:
        server.faults.append(Fault("get", "secrets", status=422, reason="Invalid", message='Invalid value: "s3cr3t"'))
        with pytest.raises(errors.Invalid) as refusal:
            await kubernetes.get(SECRETS, "shop", "prometheus")
        server.faults.append(Fault("get", how="drop", times=2))
        with pytest.raises(errors.Unavailable) as silence:
            await kubernetes.get(SECRETS, "shop", "prometheus")
    for error in (refusal.value, silence.value):
        assert "s3cr3t" not in repr(error)
        assert "hush" not in repr(error)


async def test_an_endless_answer_is_cut_off(server: ApiServer, kubernetes: Kubernetes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.clients.kubernetes.ANSWER_LIMIT", 10_000)
    await server.put("configmaps", "shop", config_map("flags", blob="x" * 20_000))
    with pytest.raises(errors.ApiError, match="larger than 10000 bytes"):
        await kubernetes.get(CONFIG_MAPS, "shop", "flags")


async def test_a_broken_kubeconfig_is_named_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(errors.CredentialsError, match=r"none\.yaml.*--kubeconfig"):
        async with Kubernetes.connect(str(tmp_path / "none.yaml")):
            pass
    broken = tmp_path / "broken.yaml"
    broken.write_text("clusters: [")
    with pytest.raises(errors.CredentialsError, match=r"broken\.yaml"):
        async with Kubernetes.connect(str(broken)):
            pass
