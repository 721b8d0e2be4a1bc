"""Requests use the model one after the other, and only the newest of a channel is served."""

from __future__ import annotations

from threading import Event, Lock, Thread

import pytest

from ddmi_core.viewer.queue import MOST_CHANNELS, RequestQueue, Superseded


def test_an_older_request_of_a_channel_is_dropped_and_one_of_another_is_not():
    queue = RequestQueue()
    with queue.admit("zoom", 5):
        pass
    with pytest.raises(Superseded), queue.admit("zoom", 4):
        pass
    with queue.admit("other", 1), pytest.raises(AssertionError):
        raise AssertionError
    with queue.admit("zoom", 5):
        pass


def test_those_without_a_channel_are_all_served():
    queue, served = RequestQueue(), []
    for serial in (3, 1, 2):
        with queue.admit("", serial):
            served.append(serial)
    assert served == [3, 1, 2]


def test_what_is_being_done_hears_that_something_newer_has_come():
    queue, begun, newer = RequestQueue(), Event(), Event()
    ended = []

    def work():
        try:
            with queue.admit("samples", 1) as check:
                check()
                begun.set()
                newer.wait(10)
                while True:
                    check()
        except Superseded:
            ended.append("superseded")

    thread = Thread(target=work)
    thread.start()
    begun.wait(10)
    second = Thread(target=lambda: queue.admit("samples", 2).__enter__())
    newer.set()
    second.start()
    thread.join(10)
    second.join(10)
    assert ended == ["superseded"]


def test_of_many_waiting_requests_only_the_newest_is_served():
    queue, begun, free, served = RequestQueue(), Event(), Event(), []

    def hold():
        with queue.admit("", 0):
            begun.set()
            free.wait(10)

    def ask(serial):
        try:
            with queue.admit("zoom", serial):
                served.append(serial)
        except Superseded:
            pass

    holder = Thread(target=hold)
    holder.start()
    begun.wait(10)
    waiting = [Thread(target=ask, args=(serial,)) for serial in range(1, 9)]
    for thread in waiting:
        thread.start()
    while queue.newest("zoom") != 8:
        pass
    free.set()
    for thread in (holder, *waiting):
        thread.join(10)
    assert served == [8]


def test_never_two_at_once():
    queue, inside, most = RequestQueue(), [], []
    notes = Lock()

    def work(number):
        with queue.admit("", number):
            with notes:
                inside.append(number)
                most.append(len(inside))
            with notes:
                inside.remove(number)

    threads = [Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == [1] * 16


def test_after_the_end_nobody_is_served_and_who_works_hears_of_it():
    queue = RequestQueue()
    with queue.admit("samples", 1) as check:
        assert not queue.close(0.01)
        with pytest.raises(Superseded):
            check()
    assert queue.close(0.01)


def test_channels_that_are_long_gone_are_forgotten():
    queue = RequestQueue()
    for number in range(2 * MOST_CHANNELS):
        with queue.admit(f"page-{number}", 1):
            pass
    known = [number for number in range(2 * MOST_CHANNELS) if queue.newest(f"page-{number}") == 1]
    assert known == list(range(MOST_CHANNELS, 2 * MOST_CHANNELS))
