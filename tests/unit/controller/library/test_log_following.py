"""Where a follower goes on after its agent was away."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jackstay.client import messages
from jackstay.library.log_following import Position


def log(times: list[int]) -> list[messages.LogEntry]:
    return [messages.LogEntry(time_ns=moment, text=b"%d" % index) for index, moment in enumerate(times)]


@given(
    st.lists(st.integers(1, 5), max_size=12).map(sorted),
    st.lists(st.integers(0, 12), max_size=4),
    st.lists(st.integers(1, 12), max_size=4),
)
def test_whatever_the_cuts_nothing_is_missing_or_there_twice(
    times: list[int], cuts: list[int], grows: list[int]
) -> None:
    whole = log(times)
    request = messages.LogsRequest(container="c", follow=True, tail=len(whole))
    position, given_texts = Position(), []
    for cut in [*cuts, len(whole)]:
        resumed = position.resume(request)
        there = [entry for entry in whole[: max(cut, len(given_texts))] if entry.time_ns >= resumed.since_ns]
        for entry in there:
            given_texts += [each.text for each in position.new([entry])]
    assert given_texts == [entry.text for entry in whole]


def test_the_request() -> None:
    request = messages.LogsRequest(container="c", follow=True, tail=5, since_ns=3, stderr=True)
    position = Position()
    assert position.resume(request) == request
    position.new(log([7, 9]))
    assert position.resume(request) == messages.LogsRequest(container="c", follow=True, since_ns=9, stderr=True)
    assert request.tail == 5
