"""What the application exports to Prometheus: by variant, so that who has a feature on can be told from who has not."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SMOOTHING = 0.05
"""Weight of the newest value in a moving average: about the last 20 trades count."""

_BY_VARIANT = ("feature", "variant")
_AVERAGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "data_quality_ratio": ("Share of market data that is complete and in time.", ()),
    "calibration_error": ("Predicted minus observed success, absolute.", _BY_VARIANT),
    "risk_fraction": ("Share of the account that a trade risks.", ("stage",)),
    "kelly_scale": ("Factor on the position size, 1 is unscaled.", _BY_VARIANT),
    "max_drawdown": ("Loss from the account's peak, as a share of it.", _BY_VARIANT),
    "position_size": ("Size of a position, in money.", (*_BY_VARIANT, "sizing")),
}


class Measures:
    """Every metric of the application."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter("requests", "Requests handled.", ["outcome"], registry=registry)
        self._duration = Histogram("request_duration_seconds", "Duration of a request.", registry=registry)
        self._seen = Counter("feature_requests", "Requests that asked for a feature, by what they got.", _BY_VARIANT, registry=registry)
        last_on = "feature_last_seen_on_timestamp_seconds"
        self._last_on = Gauge(last_on, "When a request last got the feature on.", ["feature"], registry=registry)
        self._trades = Counter("trades", "Trades made.", _BY_VARIANT, registry=registry)
        self._gauges = {name: Gauge(name, text, labels, registry=registry) for name, (text, labels) in _AVERAGES.items()}
        self._averages: dict[tuple[str, ...], float] = {}
        for outcome in ("ok", "error"):
            self._requests.labels(outcome)

    def seen(self, feature: str, *, on: bool, at: float) -> None:
        """A request got the feature on or off, at `at` (Unix seconds)."""
        self._seen.labels(feature, variant(on)).inc()
        if on:
            self._last_on.labels(feature).set(at)

    def request(self, *, ok: bool, seconds: float) -> None:
        self._requests.labels("ok" if ok else "error").inc()
        self._duration.observe(seconds)

    def trade(self, feature: str, *, on: bool) -> None:
        self._trades.labels(feature, variant(on)).inc()

    def average(self, name: str, value: float, *labels: str) -> None:
        """Takes a value into a moving average, which begins at its first one: until then there is no such series."""
        before = self._averages.setdefault((name, *labels), value)
        self._averages[name, *labels] = now = before + SMOOTHING * (value - before)
        (self._gauges[name].labels(*labels) if labels else self._gauges[name]).set(now)


def variant(on: bool) -> str:
    return "on" if on else "off"
