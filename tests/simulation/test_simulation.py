"""The simulation of false rollbacks: its noise is what it says, and its figures are of what they say."""

import math
import random
from statistics import fmean, pstdev

import pytest

from simulation.cases import cases
from simulation.noise import Traffic, binomial, daily, drifting, poisson
from simulation.rollouts import Outcome, simulate, summarised

CASES = {case.name: case for case in cases()}


@pytest.mark.parametrize("mean", [0.1, 1, 7, 59, 61, 600])
def test_poisson_noise(mean: float) -> None:
    random_ = random.Random(1)
    drawn = [poisson(random_, mean) for _ in range(20_000)]
    assert fmean(drawn) == pytest.approx(mean, rel=0.03)
    assert pstdev(drawn) == pytest.approx(math.sqrt(mean), rel=0.05)


@pytest.mark.parametrize(("n", "p"), [(5, 0.3), (30, 0.5), (1000, 0.01), (1000, 0.3)])
def test_binomial_noise(n: int, p: float) -> None:
    random_ = random.Random(1)
    drawn = [binomial(random_, n, p) for _ in range(20_000)]
    assert fmean(drawn) == pytest.approx(n * p, rel=0.03)
    assert pstdev(drawn) == pytest.approx(math.sqrt(n * p * (1 - p)), rel=0.05)


def test_traffic_and_drift_keep_their_means() -> None:
    random_ = random.Random(1)
    assert fmean(daily(second) for second in range(0, 86400, 60)) == pytest.approx(1, abs=0.01)
    assert fmean(Traffic(10).within(random_, second) for second in range(0, 86400, 10)) == pytest.approx(10, rel=0.05)
    step = drifting(random_, 0.2)
    logs = [math.log(step()) for _ in range(50_000)]
    assert fmean(logs) == pytest.approx(0, abs=0.03)
    assert pstdev(logs) == pytest.approx(0.2, rel=0.1)


def test_a_regression_is_caught_and_a_healthy_rollout_is_left_alone() -> None:
    case = CASES["query, for 10m"]
    assert simulate(case, "a", None, hours=6) == Outcome(None, advanced_wrongly=False)
    caught = simulate(case, "b", 3600.0, hours=6)
    assert caught.rolled_back_after is not None
    assert 600 <= caught.rolled_back_after <= 1200


def test_the_same_seed_gives_the_same_rollout() -> None:
    case = CASES["success rate, no minimum"]
    assert simulate(case, "a", None, hours=6) == simulate(case, "a", None, hours=6)


def test_a_rollback_before_the_regression_is_no_catch() -> None:
    worse = [Outcome(-60, False), Outcome(120, False), Outcome(None, True), Outcome(600, False)]
    found = summarised(CASES["query, for 10m"], [Outcome(None, False), Outcome(60, False)], worse)
    assert (found.false_rollbacks, found.caught, found.before_the_regression, found.advanced_wrongly) == (0.5, 0.5, 0.25, 0.25)
    assert (found.median_delay, found.p95_delay) == (10, 10)
