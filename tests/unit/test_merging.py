"""Two people's changes to one document: put together where they can be, and never one lost in silence."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from campaigns.merging import merge

BASE = "name: a\ngrace: 7 days\nsteps:\n- one\n- two\nend: 14 days\n"


def test_changes_of_different_lines_go_together() -> None:
    mine = BASE.replace("7 days", "9 days").replace("- one\n", "- one\n- and a half\n")
    theirs = BASE.replace("name: a", "name: a\ntitle: A").replace("14", "21")
    merged = "name: a\ntitle: A\ngrace: 9 days\nsteps:\n- one\n- and a half\n- two\nend: 21 days\n"
    assert merge(BASE, mine, theirs) == merged


def test_the_same_line_changed_in_two_ways_is_left_to_the_people() -> None:
    assert merge(BASE, BASE.replace("7 days", "9 days"), BASE.replace("7 days", "5 days")) is None
    assert merge(BASE, BASE.replace("- two\n", ""), BASE.replace("- two", "- other")) is None
    assert (
        merge(BASE, BASE.replace("- two\n", "- two\n- x\n"), BASE.replace("- two\n", "- two\n- y\n")) is None
    )


def test_the_same_change_made_by_both_is_made_once() -> None:
    changed = BASE.replace("7 days", "9 days")
    assert merge(BASE, changed, changed) == changed


texts = st.lists(st.sampled_from("abcd"), max_size=8).map(
    lambda lines: "".join(f"{line}\n" for line in lines)
)


@given(texts, texts)
def test_who_changed_nothing_gets_the_others_text(base: str, other: str) -> None:
    assert merge(base, base, other) == merge(base, other, base) == merge(base, other, other) == other


@given(texts, texts, texts)
def test_the_order_of_the_two_makes_no_difference(base: str, mine: str, theirs: str) -> None:
    assert merge(base, mine, theirs) == merge(base, theirs, mine)
