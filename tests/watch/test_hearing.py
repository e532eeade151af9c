"""What is told and what stays quiet, without a server."""

from typing import Any

import pytest

from tidegate.api.rollout_policy import DEFAULT_POLICY_ANNOTATION
from tidegate.clients.writer import Echoes
from tidegate.domain.keys import Key, Kind, Ref, RefKind
from tidegate.watch.hearing import Hearing, Sinks
from tidegate.watch.kopf_settings import WatchSettings
from tidegate.watch.watched import FLAG_SETS, POLICIES, ROLLOUTS, Part


class Ear:
    """A Hearing whose news is written down."""

    def __init__(self, *namespaces: str) -> None:
        self.news = list[tuple[Any, ...]]()
        self.echoes = Echoes()
        sinks = Sinks(
            enqueue=lambda key, _: self.news.append(("look", key.name)),
            gone=lambda key: self.news.append(("gone", str(key))),
            changed=lambda ref: self.news.append(("changed", ref)),
        )
        self.hearing = Hearing(WatchSettings(namespaces), sinks, self.echoes)

    def hear(self, event: str | None, body: dict[str, Any]) -> list[tuple[Any, ...]]:
        self.hearing.event(ROLLOUTS, event, body)
        return self.take()

    def take(self) -> list[tuple[Any, ...]]:
        taken = list(self.news)
        self.news.clear()
        return taken


def body(version: int | str, uid: str = "u1", name: str = "a", namespace: str = "shop") -> dict[str, Any]:
    """As an edit of the spec leaves it: each version is another generation."""
    return {"metadata": {"namespace": namespace, "name": name, "uid": uid, "resourceVersion": str(version), "generation": version}}


def test_each_version_is_told_once() -> None:
    ear = Ear()
    assert ear.hear("ADDED", body(5)) == [("look", "a")]
    assert ear.hear(None, body(5)) == []
    assert ear.hear("MODIFIED", body(6)) == [("look", "a")]
    assert ear.hear("MODIFIED", body(5)) == [], "old news"
    assert ear.hear("MODIFIED", body(10)) == [("look", "a")], "10 is newer than 6"
    assert ear.hear("MODIFIED", body("x9")) == [("look", "a")], "without numbers, other is new"


def test_our_own_write_is_quiet_as_an_event_and_loud_in_a_list() -> None:
    ear = Ear()
    ear.hear(None, body(5))
    ear.echoes.wrote("u1", "6")
    assert ear.hear("MODIFIED", body(6)) == []
    assert ear.hear("MODIFIED", body(7)) == [("look", "a")]
    ear.echoes.wrote("u1", "9")
    assert ear.hear(None, body(9)) == [("look", "a")], "8 may have been somebody else's, and was missed"


def test_a_deletion_is_told_and_a_successor_is_another_object() -> None:
    ear = Ear()
    ear.hear("ADDED", body(5))
    assert ear.hear("DELETED", body(6)) == [("gone", "FeatureRollout/shop/a"), ("look", "a")]
    assert ear.hear("ADDED", body(7, uid="u2")) == [("look", "a")]
    assert ear.hear("DELETED", body(6, uid="u1")) == [], "the predecessor's end comes late"
    assert ear.hear("MODIFIED", body(8, uid="u2")) == [("look", "a")]


def test_our_own_deletion_is_no_echo() -> None:
    ear = Ear()
    ear.hear("ADDED", body(5))
    ear.echoes.wrote("u1", "6")
    assert ear.hear("DELETED", body(6)) == [("gone", "FeatureRollout/shop/a"), ("look", "a")]


def test_a_flag_set_has_no_key_and_wakes_those_that_refer_to_it() -> None:
    ear = Ear()
    ear.hearing.event(FLAG_SETS, "ADDED", body(5))
    ear.echoes.wrote("u1", "6")
    ear.hearing.event(FLAG_SETS, "MODIFIED", body(6))
    ear.hearing.event(FLAG_SETS, "DELETED", body(7))
    assert ear.take() == [("changed", Ref(RefKind.FLAG_SET, "shop", "a"))] * 2, "and not for our own write"


def test_policies_have_no_namespace_a_key_and_those_that_refer_to_them() -> None:
    ear = Ear("shop")
    policy = body(5)
    del policy["metadata"]["namespace"]
    ear.hearing.event(POLICIES, "ADDED", policy)
    ear.hearing.event(POLICIES, "DELETED", policy)
    changed = ("changed", Ref(RefKind.ROLLOUT_POLICY, "", "a"))
    assert ear.take() == [changed, ("look", "a"), changed, ("gone", str(Key(Kind.ROLLOUT_POLICY, "", "a"))), ("look", "a")]


NOTED = {"annotations": {"seen-by": "another program"}, "labels": {"team": "search"}}
BY_HAND = {"manager": "kubectl-edit", "operation": "Update", "time": "2026-12-01T09:00:00Z"}


@pytest.mark.parametrize(
    ("changed", "is_told"),
    [
        (NOTED, False),
        ({"managedFields": [BY_HAND]}, False),
        ({"generation": 2}, True),
        ({"finalizers": ["shop.example.com/kept"]}, True),
        ({"deletionTimestamp": "2026-12-01T09:00:00Z"}, True),
        ({"managedFields": [BY_HAND | {"subresource": "status"}]}, True),
    ],
    ids=["annotations and labels", "who wrote them", "spec", "finalizers", "deletion", "status"],
)
def test_of_a_rollout_only_what_a_reconcile_looks_at_wakes_it_however_often_the_rest_changes(
    changed: dict[str, Any], is_told: bool
) -> None:
    ear = Ear()
    plain = {"metadata": body(5)["metadata"] | {"generation": 1}}
    assert ear.hear("ADDED", plain) == [("look", "a")]
    for version in range(6, 26):
        noted = {"metadata": plain["metadata"] | NOTED | {"resourceVersion": str(version)}}
        assert ear.hear("MODIFIED", noted) == []
    after = {"metadata": noted["metadata"] | changed | {"resourceVersion": "30"}}
    assert ear.hear("MODIFIED", after) == ([("look", "a")] if is_told else [])
    again = {"metadata": after["metadata"] | {"resourceVersion": "31"}}
    assert ear.hear(None, again) == [], "nor is it after a gap"


def policy(version: int, generation: int, **annotations: str) -> dict[str, Any]:
    noted = {"seen-by": f"another program, {version} times"} | annotations
    return {"metadata": {"name": "p", "uid": "u1", "resourceVersion": str(version), "generation": generation, "annotations": noted}}


def test_a_policy_is_looked_at_again_when_people_change_it_and_not_when_its_status_is_written() -> None:
    ear = Ear()

    def hear(event: str | None, body: dict[str, Any]) -> list[tuple[Any, ...]]:
        ear.hearing.event(POLICIES, event, body)
        return ear.take()

    told = [("changed", Ref(RefKind.ROLLOUT_POLICY, "", "p")), ("look", "p")]
    assert ear.hearing.listed(POLICIES, policy(5, 1)) is not None
    assert ear.take() == told[:1], "the list itself says what to reconcile"
    assert hear("MODIFIED", policy(6, 1)) == [], "another Tidegate reported what it saw"
    assert hear(None, policy(7, 1)) == []
    assert hear("MODIFIED", policy(8, 2)) == told
    default = {DEFAULT_POLICY_ANNOTATION: "true"}
    assert hear("MODIFIED", policy(9, 2, **default)) == told
    assert hear("MODIFIED", policy(10, 2, **default)) == []
    assert hear("DELETED", policy(11, 2)) == [told[0], ("gone", "RolloutPolicy/p"), told[1]]
    assert hear("ADDED", policy(12, 2)) == told


def test_other_namespaces_are_none_of_our_business() -> None:
    ear = Ear("shop-*", "bank")
    for namespace in ("shop", "shop-eu", "bank", "banks"):
        ear.hear("ADDED", body(5, uid=namespace, name=namespace, namespace=namespace))
        ear.hearing.event(ROLLOUTS, "DELETED", body(6, uid=namespace, name=namespace, namespace=namespace))
    assert {entry[1] for entry in ear.take() if entry[0] == "look"} == set()
    for namespace in ("shop", "shop-eu", "bank", "banks"):
        ear.hearing.event(ROLLOUTS, "ADDED", body(5, uid=namespace, name=namespace, namespace=namespace))
    assert {entry[1] for entry in ear.take() if entry[0] == "look"} == {"shop-eu", "bank"}


def test_what_a_list_lacks_was_deleted_unless_it_was_heard_of_since() -> None:
    ear = Ear()
    for name in ("kept", "deleted", "changed"):
        ear.hear("ADDED", body(5, uid=name, name=name))
    before = ear.hearing.known(Part(ROLLOUTS, ""))
    listed = [ear.hearing.listed(ROLLOUTS, body(5, uid="kept", name="kept"))]
    ear.hear("MODIFIED", body(6, uid="changed", name="changed"))
    ear.hear("ADDED", body(7, uid="new", name="new"))
    ear.hearing.forget_missing(before, [ref for ref in listed if ref])
    assert ear.take() == [("gone", "FeatureRollout/shop/deleted"), ("look", "deleted")]
    assert {ref.name for ref in ear.hearing.known(Part(ROLLOUTS, ""))} == {"kept", "changed", "new"}


def test_what_is_known_of_one_namespace_is_only_its_own() -> None:
    ear = Ear("shop", "bank")
    for namespace in ("shop", "bank"):
        ear.hearing.event(ROLLOUTS, "ADDED", body(5, uid=namespace, name=namespace, namespace=namespace))
    ear.hearing.event(FLAG_SETS, "ADDED", body(5, namespace="bank"))
    assert [ref.name for ref in ear.hearing.known(Part(ROLLOUTS, "bank"))] == ["bank"]
    ear.take()
    ear.hearing.forget_missing(ear.hearing.known(Part(ROLLOUTS, "bank")), [])
    assert ear.take() == [("gone", "FeatureRollout/bank/bank"), ("look", "bank")]


@pytest.mark.parametrize("pattern", ["", "UPPER", "a,b", "!a", "a b", "-a", "a/b", "x" * 64])
def test_a_namespace_pattern_that_would_match_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="neither a name nor a glob"):
        WatchSettings((pattern,))


def test_plain_names_are_asked_for_one_by_one_and_globs_all_at_once() -> None:
    assert WatchSettings(("a", "b", "a")).exact_namespaces == ("a", "b")
    assert WatchSettings(("a", "b-*")).exact_namespaces == ()
    assert WatchSettings().exact_namespaces == ()
    with pytest.raises(ValueError, match="resync"):
        WatchSettings(resync=(5.0, 1.0))
