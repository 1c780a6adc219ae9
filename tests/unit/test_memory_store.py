"""SignalMemoryStore: order, bounds, states, and many threads at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from itertools import chain
from types import MappingProxyType
from typing import Any

import pytest

from llm_integration.domain import TaskStatus
from llm_integration.errors import InvalidSignalError
from llm_integration.memory_store import SignalMemoryStore


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def signal(signal_id: str, **data: Any) -> dict[str, Any]:
    return {"signal_id": signal_id, "signal_data": {"symbol": "EURUSD", **data}}


def filled(*ids: str, **options: Any) -> SignalMemoryStore:
    store = SignalMemoryStore(**options)
    for signal_id in ids:
        assert store.add_signal(signal(signal_id))
    return store


def pending_ids(store: SignalMemoryStore, limit: int = 100) -> list[str]:
    return [entry["signal_id"] for entry in store.get_pending_signals(limit)]


def test_what_was_added_can_be_had_back() -> None:
    """A store built without arguments keeps a signal under its id."""
    store = SignalMemoryStore()
    assert store.add_signal({"signal_id": "test123", "signal_data": {"symbol": "EURUSD"}})
    found = store.get_signal("test123")
    assert found is not None
    assert found["signal_id"] == "test123"
    assert found["signal_data"] == {"symbol": "EURUSD"}
    assert found["status"] == "pending"
    assert isinstance(found["added_at"], float)
    assert store.get_signal("another") is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "not NoneType"),
        ([("signal_id", "a")], "not list"),
        ("signal_id", "not str"),
        ({}, "no signal_id and no signal_data"),
        ({"signal_id": "a"}, "no signal_data"),
        ({"signal_data": {}}, "no signal_id"),
        ({"signal_id": "", "signal_data": {}}, "an empty text"),
        ({"signal_id": 7, "signal_data": {}}, "signal_id .* not int"),
        ({"signal_id": "x" * 257, "signal_data": {}}, "257 characters"),
        ({"signal_id": "a", "signal_data": None}, "signal_data .* not NoneType"),
        ({"signal_id": "a", "signal_data": [1]}, "signal_data .* not list"),
    ],
)
def test_what_is_no_signal_is_refused_with_the_reason(given: Any, words: str) -> None:
    """A mapping without a usable id or data raises an error that names what is wrong, and adds nothing."""
    store = SignalMemoryStore()
    with pytest.raises(InvalidSignalError, match=words):
        store.add_signal(given)
    assert store.get_statistics()["total_added"] == 0


def test_any_mapping_is_a_signal() -> None:
    """Neither the signal nor its data need to be a dict, and neither is copied or changed."""
    data: Mapping[str, Any] = MappingProxyType({"symbol": "ES"})
    store = SignalMemoryStore()
    assert store.add_signal(MappingProxyType({"signal_id": "a", "signal_data": data}))
    assert store.take_pending(1)[0].signal_data is data


def test_a_repeated_id_is_held_once() -> None:
    """The second addition of an id says it is held, keeps the first data, and is counted."""
    store = filled("a")
    assert store.add_signal(signal("a", symbol="OTHER"))
    assert pending_ids(store) == ["a"]
    assert store.get_pending_signals()[0]["signal_data"]["symbol"] == "EURUSD"
    store.finish("a", TaskStatus.COMPLETED)
    assert store.add_signal(signal("a"))
    statistics = store.get_statistics()
    assert (statistics["total_added"], statistics["duplicates"], statistics["pending"]) == (1, 2, 0)


def test_pending_signals_are_shown_in_order_and_stay() -> None:
    """Looking at pending signals shows the oldest first, up to the limit, and takes none."""
    store = filled(*"abcd")
    assert pending_ids(store, 2) == ["a", "b"]
    assert pending_ids(store) == list("abcd")
    assert pending_ids(store, 0) == pending_ids(store, -1) == []
    assert len(filled(*map(str, range(30))).get_pending_signals()) == 10


def test_taking_makes_the_oldest_processing() -> None:
    """Taken signals leave the queue in order and are processing; no two takers get the same one."""
    store = filled(*"abc")
    assert [entry.signal_id for entry in store.take_pending(2)] == ["a", "b"]
    assert [entry.signal_id for entry in store.take_pending(5)] == ["c"]
    assert store.take_pending(5) == []
    found = store.get_signal("a")
    assert found is not None
    assert found["status"] == "processing"


def test_taking_none_takes_none() -> None:
    """A limit of zero or less takes nothing."""
    store = filled("a")
    assert store.take_pending(0) == store.take_pending(-1) == []
    assert pending_ids(store) == ["a"]


def test_what_is_given_back_stands_in_its_old_place() -> None:
    """However and in whatever order taken signals come back, the order of addition holds again."""
    store = filled(*"abcdef")
    store.take_pending(4)
    assert store.requeue(["c"]) == 1
    assert store.requeue(["d", "a"]) == 2
    assert pending_ids(store) == ["a", "c", "d", "e", "f"]
    assert store.update_signal("b", status="pending")
    assert [entry.signal_id for entry in store.take_pending(9)] == list("abcdef")


def test_a_signal_out_of_the_middle_returns_to_the_middle() -> None:
    """A pending signal taken out of turn comes back behind those that were waiting before it."""
    store = filled(*"abc")
    store.update_signal("b", status="processing")
    assert pending_ids(store) == ["a", "c"]
    store.requeue(["b"])
    assert pending_ids(store) == list("abc")


def test_what_is_only_noted_does_not_jump_the_queue() -> None:
    """A pending signal that was updated is taken in its turn, not before older ones."""
    store = filled(*"abcd")
    store.update_signal("c", note=1)
    store.update_signal("b", status="processing")
    store.update_signal("b", status="pending")
    assert [[entry.signal_id for entry in store.take_pending(1)] for _ in range(4)] == [
        ["a"],
        ["b"],
        ["c"],
        ["d"],
    ]


def test_an_end_given_twice_counts_from_the_first_time() -> None:
    """Finishing again with the same status neither prolongs the retention nor changes who leaves first."""
    clock = Clock()
    store = filled(*"ab", max_signals=2, retention_minutes=1, clock=clock)
    store.finish("a", TaskStatus.COMPLETED)
    store.finish("b", TaskStatus.COMPLETED)
    clock.now += 60
    store.finish("a", TaskStatus.COMPLETED)
    assert store.add_signal(signal("c"))
    assert (store.get_signal("a"), store.get_signal("b") is None) == (None, False)
    assert store.cleanup_old_signals() == 1


def test_a_reopened_signal_has_no_end() -> None:
    """The time of the end is there when there is one, and gone when the signal is pending again."""
    clock = Clock()
    store = filled("a", clock=clock)
    clock.now += 5
    store.finish("a", TaskStatus.FAILED)
    ends = [(store.get_signal("a") or {})["finished_at"]]
    store.update_signal("a", "pending")
    ends.append((store.get_signal("a") or {})["finished_at"])
    assert ends == [1_005.0, None]


def test_only_what_is_processing_is_given_back() -> None:
    """Giving back leaves pending, finished and unknown signals as they are."""
    store = filled(*"ab")
    store.finish("a", TaskStatus.FAILED)
    assert store.requeue(["a", "b", "unknown"]) == 0
    assert store.get_statistics()["finished"] == 1


def test_what_was_noted_is_shown() -> None:
    """Fields of an update appear beside the signal, later ones over earlier ones, in whatever state."""
    store = filled("a", "b")
    assert store.update_signal("a", llm_rating=3, model="m")
    assert pending_ids(store) == ["a", "b"]
    assert store.update_signal("a", TaskStatus.COMPLETED, llm_rating=4)
    found = store.get_signal("a")
    assert found is not None
    assert (found["llm_rating"], found["model"], found["status"]) == (4, "m", "completed")
    assert not store.update_signal("unknown", llm_rating=1)


def test_a_wrong_update_changes_nothing() -> None:
    """An unknown status or a field of the store's own is an error, and the signal stays as it was."""
    store = filled("a")
    before = store.get_signal("a")
    with pytest.raises(ValueError, match="finised"):
        store.update_signal("a", status="finised", note=1)
    with pytest.raises(ValueError, match="added_at"):
        store.update_signal("a", added_at=0)
    with pytest.raises(ValueError, match="not the end"):
        store.finish("a", TaskStatus.PROCESSING)
    assert store.get_signal("a") == before


def test_an_entry_shown_is_not_the_entry_kept() -> None:
    """Changing what get_signal returned changes nothing in the store."""
    store = filled("a")
    found = store.get_signal("a")
    assert found is not None
    found["status"] = "completed"
    assert pending_ids(store) == ["a"]


def test_a_full_store_lets_the_oldest_finished_go() -> None:
    """When there is no room, the signal that finished first makes room."""
    store = filled(*"abc", max_signals=3)
    store.finish("b", TaskStatus.COMPLETED)
    store.finish("a", TaskStatus.FAILED)
    assert store.room() == 2
    assert store.add_signal(signal("d"))
    assert store.get_signal("b") is None
    assert store.get_signal("a") is not None
    assert store.get_statistics()["evicted"] == 1


def test_a_store_full_of_unfinished_refuses_the_newcomer() -> None:
    """With nothing finished the newcomer is not kept, is counted, and nobody else is lost."""
    store = filled(*"abc", max_signals=3)
    store.take_pending(1)
    assert store.room() == 0
    assert store.add_signal(signal("d")) is False
    assert store.add_signal(signal("a")) is True
    assert store.get_signal("d") is None
    assert sorted(store.ids()) == list("abc")
    assert store.get_statistics()["rejected"] == 1


def test_finished_signals_leave_after_the_retention() -> None:
    """Cleaning removes what finished at least the retention ago, by the clock given, and says how many."""
    clock = Clock()
    store = filled(*"abc", retention_minutes=10, clock=clock)
    store.finish("a", TaskStatus.COMPLETED)
    clock.now += 300
    store.finish("b", TaskStatus.EXPIRED)
    clock.now += 299
    assert store.cleanup_old_signals() == 0
    clock.now += 1
    assert store.cleanup_old_signals() == 1
    assert (store.get_signal("a"), store.get_signal("b") is None) == (None, False)
    assert store.get_statistics()["cleaned_up"] == 1


def test_unfinished_signals_never_leave_by_age() -> None:
    """Cleaning leaves pending and processing signals, however old, and finished ones that were reopened."""
    clock = Clock()
    store = filled(*"abc", retention_minutes=0, clock=clock)
    store.take_pending(1)
    store.finish("c", TaskStatus.FAILED)
    store.update_signal("c", status="pending")
    clock.now += 1e9
    assert store.cleanup_old_signals() == 0
    assert pending_ids(store) == ["b", "c"]


def test_a_signal_is_unfinished_from_its_addition_to_its_end() -> None:
    """Waiting, being processed, or put back; not before, not after, and not once it is gone."""
    store = filled(*"abcde", retention_minutes=0)
    store.take_pending(3)
    store.requeue(["a"])
    store.finish("b", TaskStatus.EXPIRED)
    assert [name for name in "abcdef" if store.is_unfinished(name)] == ["a", "c", "d", "e"]
    assert sorted(store.ids()) == ["a", "c", "d", "e"]
    store.cleanup_old_signals()
    assert not store.is_unfinished("b")


def test_one_cleaning_can_be_kept_short() -> None:
    """With a limit, cleaning removes the longest finished first and leaves the rest for the next time."""
    store = filled(*"abcde", retention_minutes=0)
    for signal_id in "cabde":
        store.finish(signal_id, TaskStatus.COMPLETED)
    assert store.cleanup_old_signals(limit=2) == 2
    assert store.get_signal("c") is store.get_signal("a") is None
    assert store.cleanup_old_signals(limit=0) == 0
    assert store.cleanup_old_signals() == 3


def test_the_time_of_addition_is_the_stores_clock() -> None:
    """An entry carries the clock's reading at its addition, which giving it back does not change."""
    clock = Clock()
    store = filled("a", clock=clock)
    clock.now += 60
    (entry,) = store.take_pending(1)
    store.requeue(["a"])
    assert store.take_pending(1)[0].added_at == entry.added_at == 1_000.0


def test_statistics_tell_every_state() -> None:
    """The statistics count the states now and the events so far."""
    store = filled(*"abcd", max_signals=4)
    store.take_pending(2)
    store.finish("a", TaskStatus.COMPLETED)
    assert store.get_statistics() == {
        "pending": 2, "processing": 1, "finished": 1, "total_added": 4, "rejected": 0, "duplicates": 0,
        "evicted": 0, "cleaned_up": 0, "capacity": 4,
    }  # fmt: skip
    assert sorted(store.ids()) == ["b", "c", "d"]


def test_each_addition_wakes_the_worker_once() -> None:
    """The waker is called after an addition, but not for a signal that was refused or held already."""
    calls: list[int] = []
    store = SignalMemoryStore(max_signals=2)
    store.set_waker(lambda: calls.append(store.get_statistics()["pending"]))
    for signal_id in "aabc":
        store.add_signal(signal(signal_id))
    assert calls == [1, 2]
    store.set_waker(None)
    store.finish("a", TaskStatus.COMPLETED)
    assert store.add_signal(signal("d"))
    assert calls == [1, 2]


def test_the_waker_is_called_outside_the_lock() -> None:
    """While the waker runs, another thread can use the store."""
    store = SignalMemoryStore()
    seen: list[int] = []

    def waker() -> None:
        other = threading.Thread(target=lambda: seen.append(store.room()))
        other.start()
        other.join(timeout=10)

    store.set_waker(waker)
    store.add_signal(signal("a"))
    assert seen == [999]


def test_a_broken_waker_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """When waking fails, the addition counts all the same, and the cause is logged once."""
    store = SignalMemoryStore()

    def waker() -> None:
        raise RuntimeError("the loop is closed")

    store.set_waker(waker)
    with caplog.at_level(logging.ERROR):
        assert store.add_signal(signal("a"))
        assert store.add_signal(signal("b"))
    assert pending_ids(store) == ["a", "b"]
    assert len(caplog.records) == 1
    assert "the loop is closed" in str(caplog.records[0].exc_info)


@pytest.mark.parametrize(
    "options", [{"max_signals": 0}, {"retention_minutes": -1}, {"retention_minutes": float("nan")}]
)
def test_senseless_bounds_are_refused(options: dict[str, Any]) -> None:
    """A store without room or with a negative retention cannot be built."""
    with pytest.raises(ValueError, match="should be"):
        SignalMemoryStore(**options)


def test_many_threads_lose_and_double_nothing() -> None:
    """Under four adders and three takers that give back, fail and clean, each signal ends exactly once."""
    store = SignalMemoryStore(max_signals=50, retention_minutes=0)
    added, ended = [list[str]() for _ in range(4)], [list[str]() for _ in range(3)]
    adding = threading.Event()

    def add(number: int) -> None:
        for index in range(400):
            if store.add_signal(signal(f"{number}-{index}")):
                added[number].append(f"{number}-{index}")

    def take(number: int) -> None:
        turn = 0
        while (entries := store.take_pending(3)) or not adding.is_set():
            for entry in entries:
                turn += 1
                if turn % 5 == 0:
                    assert store.requeue([entry.signal_id]) == 1
                else:
                    assert store.finish(entry.signal_id, TaskStatus.COMPLETED)
                    ended[number].append(entry.signal_id)
            store.cleanup_old_signals(limit=10)

    adders = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    takers = [threading.Thread(target=take, args=(number,)) for number in range(3)]
    for thread in [*adders, *takers]:
        thread.start()
    for thread in adders:
        thread.join()
    adding.set()
    for thread in takers:
        thread.join()
    everything_added, everything_ended = list(chain(*added)), list(chain(*ended))
    assert sorted(everything_ended) == sorted(everything_added)
    statistics = store.get_statistics()
    assert statistics["total_added"] == len(everything_added)
    assert statistics["total_added"] + statistics["rejected"] == 1_600
    assert (statistics["pending"], statistics["processing"]) == (0, 0)
    assert statistics["finished"] + statistics["cleaned_up"] + statistics["evicted"] == len(everything_ended)


def test_what_was_added_and_still_waits_is_told_once_in_order() -> None:
    """Whoever stores waiting signals elsewhere hears of each once, those put back included."""
    store = SignalMemoryStore()
    store.add_signal({"signal_id": "s0", "signal_data": {}})
    store.follow_arrivals()
    for number in range(1, 6):
        store.add_signal({"signal_id": f"s{number}", "signal_data": {}})
    store.take_pending(3)
    store.requeue(["s1"])
    assert store.untold
    assert [entry.signal_id for entry in store.arrivals(2)] == ["s1", "s3"]
    assert [entry.signal_id for entry in store.arrivals(10)] == ["s4", "s5"]
    assert store.arrivals(10) == []
    assert not store.untold


def test_an_arrival_is_told_when_it_has_waited_long_enough() -> None:
    """A signal that is too young is told later, and so are all behind it."""
    now = [100.0]
    store = SignalMemoryStore(clock=lambda: now[0])
    store.follow_arrivals()
    store.add_signal({"signal_id": "old", "signal_data": {}})
    now[0] += 1.0
    store.add_signal({"signal_id": "young", "signal_data": {}})
    assert [entry.signal_id for entry in store.arrivals(10, age=1.0)] == ["old"]
    assert store.arrivals(10, age=1.0) == []
    now[0] += 1.0
    assert [entry.signal_id for entry in store.arrivals(10, age=1.0)] == ["young"]


def test_arrivals_are_kept_in_mind_only_while_somebody_follows() -> None:
    """Nobody follows, nothing is noted; and never more than the store may hold."""
    store = SignalMemoryStore(2)
    store.add_signal({"signal_id": "before", "signal_data": {}})
    assert store.arrivals(10) == []
    store.finish("before", TaskStatus.COMPLETED)
    store.follow_arrivals()
    for number in range(5):
        assert store.add_signal({"signal_id": f"s{number}", "signal_data": {}})
        store.finish(f"s{number}", TaskStatus.COMPLETED) if number < 3 else None
    assert [entry.signal_id for entry in store.arrivals(10)] == ["s3", "s4"]
