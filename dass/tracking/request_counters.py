"""How many requests each model was sent, how they were answered and how long they took, for Prometheus."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

PROMETHEUS = CONTENT_TYPE_PLAIN_0_0_4
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # seconds
GONE = "gone"  # the client did not wait for the answer


class RequestCounters:
    """Counters of one application.

    Args:
        models: names; all of them are there from the start, with zeros.
    """

    def __init__(self, models: Iterable[str]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "dass_requests", "Requests by model and status.", ("model", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "dass_request_seconds",
            "From a request's headers to its answer.",
            ("model",),
            registry=self._registry,
            buckets=BUCKETS,
        )
        for name in models:
            self._requests.labels(name, "200")
            self._seconds.labels(name)

    def count(self, model: str, status: int | None, seconds: float) -> None:
        """Counts a request.

        Args:
            model: name of the model.
            status: of HTTP; None where nobody waited for the answer.
            seconds: duration of the request, in seconds.
        """
        self._requests.labels(model, GONE if status is None else str(int(status))).inc()
        self._seconds.labels(model).observe(seconds)

    def text(self) -> bytes:
        """All of them in Prometheus' text form."""
        return generate_latest(self._registry)
