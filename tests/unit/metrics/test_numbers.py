"""What a process counts: exact, bounded, and lost by no thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from flowengine.observability.metrics.numbers import (
    MOST_CHARS,
    MOST_VALUES,
    OTHER,
    SECONDS,
    Counter,
    Histogram,
)


def test_a_counter_adds_up_by_its_labels() -> None:
    """Each combination of values has a number of its own."""
    counter = Counter("x_total", "text", ("handler", "outcome"))
    counter.add("a", "completed")
    counter.add("a", "completed", by=2)
    counter.add("a", "failed")
    assert list(counter.samples()) == [(("a", "completed"), 3), (("a", "failed"), 1)]
    assert counter.value("b", "failed") == 0


def test_a_counter_without_labels_begins_at_nothing() -> None:
    """So that Prometheus sees the first time that something happens."""
    assert list(Counter("x_total", "text").samples()) == [((), 0)]


def test_values_that_are_too_many_count_as_other() -> None:
    """Also in combination with what is known; the known ones go on."""
    counter = Counter("x_total", "text", ("name", "status"))
    for number in range(MOST_VALUES + 50):
        counter.add(f"n{number}", "failed")
    counter.add("n0", "failed")
    counter.add("n149", "completed")
    assert counter.value(OTHER, "failed") == 50
    assert counter.value(OTHER, "completed") == 1
    assert counter.value("n0", "failed") == 2
    assert len(list(counter.samples())) == MOST_VALUES + 2


def test_long_values_are_cut() -> None:
    """A name of a megabyte does not go to Prometheus."""
    counter = Counter("x_total", "text", ("name",))
    counter.add("x" * 1_000_000)
    assert list(counter.samples()) == [(("x" * MOST_CHARS,), 1)]


def test_a_histogram_counts_what_took_at_most_so_long() -> None:
    """A bound belongs to its bucket; the last bucket has all; the sum is exact."""
    histogram = Histogram("x_seconds", "text", ("handler",))
    for seconds in (SECONDS[0], 0.3, 0.3, 10_000.0):
        histogram.observe(seconds, "a")
    ((values, numbers, total),) = histogram.samples()
    assert values == ("a",)
    assert numbers[0] == 1
    assert numbers[SECONDS.index(0.25)] == 1
    assert numbers[SECONDS.index(0.5)] == 3
    assert numbers[-2:] == [3, 4]
    assert total == SECONDS[0] + 0.6 + 10_000


def test_threads_that_count_at_once_lose_nothing() -> None:
    """Without a lock: an addition is never cut in two."""
    counter, histogram = Counter("x_total", "text", ("a",)), Histogram("x_seconds", "text")

    def count(_: int) -> None:
        for _ in range(20_000):
            counter.add("a")
            histogram.observe(0.01)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(4)))
    assert counter.value("a") == 80_000
    ((_, numbers, _),) = histogram.samples()
    assert numbers[-1] == 80_000
