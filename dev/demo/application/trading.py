"""The simulated business: what a request costs, and how well it trades with each feature on or off."""

from collections.abc import Mapping, Set
from random import Random

from demo.application.measures import Measures, variant

CALIBRATION = "confidence-calibration"
KELLY = "drawdown-kelly"
FEATURES = (CALIBRATION, KELLY)

TRADES_PER_REQUEST = 0.2
SECONDS_PER_REQUEST = 0.020
ERROR_RATIO = 0.002
UNSCALED_SIZE = 10_000.0


class TradingEngine:
    """Handles requests one by one. Duration and outcome are drawn, not measured: a busy machine must not look like a slow feature."""

    def __init__(self, measures: Measures, random: Random) -> None:
        self._measures = measures
        self._random = random
        self.bad: Set[str] = frozenset()
        """The features that misbehave from now on."""

    def handle(self, features: Mapping[str, bool]) -> None:
        """One request of a user, with each feature on or off for them."""
        draw = self._random
        self._measures.request(ok=draw.random() >= ERROR_RATIO, seconds=SECONDS_PER_REQUEST * draw.lognormvariate(0.0, 0.2))
        self._measures.average("data_quality_ratio", draw.gauss(0.985, 0.004))
        if draw.random() < TRADES_PER_REQUEST:
            self._trade_confidence(on=features[CALIBRATION])
            self._trade_size(on=features[KELLY])

    def _trade_confidence(self, *, on: bool) -> None:
        """Calibrated confidence is nearer to the truth, so that less is risked on a wrong prediction."""
        draw, bad = self._random, on and CALIBRATION in self.bad
        error = 0.22 if bad else 0.07 if on else 0.13
        raw_risk = draw.gauss(0.020, 0.001)
        self._measures.trade(CALIBRATION, on=on)
        self._measures.average("calibration_error", draw.gauss(error, 0.015), CALIBRATION, variant(on))
        self._measures.average("risk_fraction", raw_risk, "raw")
        if on:
            self._measures.average("risk_fraction", raw_risk * (1.3 if bad else 0.82), "calibrated")

    def _trade_size(self, *, on: bool) -> None:
        """The feature bets less while the account is down. The fault: it misses the drawdown, bets on in full, and losses mount."""
        draw, bad = self._random, on and KELLY in self.bad
        scale = draw.gauss(0.97 if bad else 0.55, 0.02) if on else 1.0
        size = UNSCALED_SIZE * draw.gauss(1.0, 0.05)
        drawdown = draw.gauss(0.09 if bad else 0.031 if on else 0.045, 0.003)
        labels = (KELLY, variant(on))
        self._measures.trade(KELLY, on=on)
        self._measures.average("kelly_scale", scale, *labels)
        self._measures.average("max_drawdown", drawdown, *labels)
        self._measures.average("position_size", size, *labels, "unscaled")
        self._measures.average("position_size", size * scale, *labels, "scaled")
