"""Keys: what the queue holds, what log lines and metrics call an object by."""

import itertools

import pytest

from tidegate.api.crd import KINDS
from tidegate.domain.keys import Key, Kind, RefKind


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (Key(Kind.FEATURE_ROLLOUT, "shop", "search"), "FeatureRollout/shop/search"),
        (Key(Kind.ROLLOUT_POLICY, "", "production"), "RolloutPolicy/production"),
    ],
)
def test_a_key_reads_as_kind_namespace_and_name(key: Key, text: str) -> None:
    assert str(key) == text
    assert f"{key}" == text


def test_keys_have_an_order_of_their_own() -> None:
    """Kind, then namespace, then name: the order never depends on which was made first."""
    in_order = [
        Key(Kind.FEATURE_ROLLOUT, "bank", "z"),
        Key(Kind.FEATURE_ROLLOUT, "shop", "a"),
        Key(Kind.FEATURE_ROLLOUT, "shop", "b"),
        Key(Kind.ROLLOUT_POLICY, "", "production"),
    ]
    assert all(sorted(mixed) == in_order for mixed in itertools.permutations(in_order))


@pytest.mark.parametrize("kind", [*Kind, RefKind.ROLLOUT_POLICY])
def test_a_kind_is_the_word_that_the_api_server_has_for_it(kind: Kind | RefKind) -> None:
    assert f"{kind}" in {definition.kind for definition in KINDS}
