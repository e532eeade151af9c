"""What the application exports to Prometheus: by variant, so that who has a feature on can be told from who has not."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SMOOTHING = 0.05
"""Weight of the newest value in a moving average: about the last 20 trades count."""

_BY_VARIANT = ("feature", "variant")


class MovingAverage:
    """An exponential moving average that begins at its first value."""

    def __init__(self) -> None:
        self.value: float | None = None

    def add(self, value: float) -> float:
        self.value = value if self.value is None else self.value + SMOOTHING * (value - self.value)
        return self.value


class Averages:
    """A gauge whose every series is a moving average. A series appears with its first value."""

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self._averages: dict[tuple[str, ...], MovingAverage] = {}

    def add(self, labels: tuple[str, ...], value: float) -> None:
        average = self._averages.setdefault(labels, MovingAverage())
        (self._gauge.labels(*labels) if labels else self._gauge).set(average.add(value))


class Measures:
    """Every metric of the application."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, help_text: str, *labels: str) -> Gauge:
            return Gauge(name, help_text, labels, registry=registry)

        self._requests = Counter("requests", "Requests handled.", ["outcome"], registry=registry)
        self._duration = Histogram("request_duration_seconds", "Duration of a request.", registry=registry)
        self._seen = Counter("feature_requests", "Requests that asked for a feature, by what they got.", _BY_VARIANT, registry=registry)
        self._last_on = gauge("feature_last_seen_on_timestamp_seconds", "When a request last got the feature on.", "feature")
        self._trades = Counter("trades", "Trades made.", _BY_VARIANT, registry=registry)
        self._quality = Averages(gauge("data_quality_ratio", "Share of market data that is complete and in time."))
        self._calibration = Averages(gauge("calibration_error", "Predicted minus observed success, absolute.", *_BY_VARIANT))
        self._risk = Averages(gauge("risk_fraction", "Share of the account that a trade risks.", "stage"))
        self._kelly = Averages(gauge("kelly_scale", "Factor on the position size, 1 is unscaled.", *_BY_VARIANT))
        self._drawdown = Averages(gauge("max_drawdown", "Loss from the account's peak, as a share of it.", *_BY_VARIANT))
        self._size = Averages(gauge("position_size", "Size of a position, in money.", *_BY_VARIANT, "sizing"))
        for outcome in ("ok", "error"):
            self._requests.labels(outcome)

    def seen(self, feature: str, *, on: bool, at: float) -> None:
        """A request got the feature on or off, at `at` (Unix seconds)."""
        self._seen.labels(feature, _variant(on)).inc()
        if on:
            self._last_on.labels(feature).set(at)

    def request(self, *, ok: bool, seconds: float) -> None:
        self._requests.labels("ok" if ok else "error").inc()
        self._duration.observe(seconds)

    def data_quality(self, ratio: float) -> None:
        self._quality.add((), ratio)

    def trade(self, feature: str, *, on: bool) -> None:
        self._trades.labels(feature, _variant(on)).inc()

    def calibration_error(self, feature: str, *, on: bool, error: float) -> None:
        self._calibration.add((feature, _variant(on)), error)

    def risk_fraction(self, stage: str, fraction: float) -> None:
        self._risk.add((stage,), fraction)

    def kelly_scale(self, feature: str, *, on: bool, scale: float) -> None:
        self._kelly.add((feature, _variant(on)), scale)

    def drawdown(self, feature: str, *, on: bool, drawdown: float) -> None:
        self._drawdown.add((feature, _variant(on)), drawdown)

    def position_size(self, feature: str, *, on: bool, unscaled: float, scaled: float) -> None:
        self._size.add((feature, _variant(on), "unscaled"), unscaled)
        self._size.add((feature, _variant(on), "scaled"), scaled)


def _variant(on: bool) -> str:
    return "on" if on else "off"
