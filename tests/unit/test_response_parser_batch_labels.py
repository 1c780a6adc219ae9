"""Labels of a batch: short, stable, never alike within one batch."""

from __future__ import annotations

import random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_integration import batch_labels as module
from llm_integration.batch_labels import batch_label, batch_labels

IDS: Final = [f"session:EURUSD:{number}" for number in range(2_000)]


def test_known_labels() -> None:
    """The label of a signal is the same in every process and version."""
    assert [batch_label(signal_id) for signal_id in ("", "s1", "s2", "é\ud800")] == KNOWN


KNOWN: Final = ["cgmtx4", "xmkfgp", "r8rk72", "wj47mk"]


def test_form() -> None:
    """A label is six characters without vowels and look-alikes, begins with a letter and is lower case."""
    for label in map(batch_label, IDS):
        assert len(label) == 6
        assert label[0].isalpha()
        assert set(label) <= set("234678cdfghjkmnpqrtvwx")


@given(st.lists(st.text(), max_size=30))
def test_labels_of_a_batch_differ(ids: list[str]) -> None:
    """Any ids at all get as many different labels, even an id that is given twice."""
    labels = batch_labels(ids)
    assert len(set(labels)) == len(labels) == len(ids)
    assert batch_labels(ids) == labels


@given(st.lists(st.text(), unique=True, max_size=30), st.randoms(use_true_random=False))
def test_labels_do_not_depend_on_the_order(ids: list[str], rng: random.Random) -> None:
    """A signal keeps its label whatever its place in the batch."""
    shuffled = rng.sample(ids, len(ids))
    assert dict(zip(ids, batch_labels(ids), strict=True)) == dict(
        zip(shuffled, batch_labels(shuffled), strict=True)
    )


def test_lone_labels_are_those_of_a_batch() -> None:
    """Without a collision each signal has the label it has alone."""
    assert batch_labels(IDS[:100]) == [batch_label(signal_id) for signal_id in IDS[:100]]


@pytest.mark.parametrize("order", [1, -1])
def test_colliding_labels_grow(monkeypatch: pytest.MonkeyPatch, order: int) -> None:
    """Signals whose labels collide get longer ones, each from its own id and whatever the order."""
    monkeypatch.setattr(module, "_LENGTH", 1)
    ids = IDS[:40][::order]
    labels = batch_labels(ids)
    assert len(set(labels)) == 40
    assert all(
        label == batch_label(signal_id) or len(label) > 1
        for label, signal_id in zip(labels, ids, strict=True)
    )
    assert sorted(labels) == sorted(batch_labels(IDS[:40]))
    assert max(map(len, labels)) < 6
