"""Requests to stop: the first signal is noted, the second one ends the program, and handlers come back."""

from __future__ import annotations

import signal
import threading

import pytest

from ddmi_core.training.shutdown import StopRequest, stop_requests

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@BOTH
def test_the_first_signal_is_noted_and_the_second_one_interrupts(number):
    with stop_requests() as request:
        assert not request
        signal.raise_signal(number)
        assert request
        assert request.signal_number == number
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert request.signal_number == signal.SIGINT


@BOTH
def test_where_there_is_nothing_to_save_the_first_signal_interrupts(number):
    with stop_requests() as request:
        with pytest.raises(KeyboardInterrupt), request.at_once():
            signal.raise_signal(number)
        assert request.signal_number == number
    with stop_requests() as request:
        with request.at_once():
            pass
        signal.raise_signal(number)  # deferred again
        assert request


def test_earlier_handlers_come_back_even_after_an_error():
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]

    def fail():
        with stop_requests() as request:
            assert [signal.getsignal(number) for number in numbers] == [request._handle] * 2
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [signal.getsignal(number) for number in numbers] == before


def test_beside_the_main_thread_handlers_stay():
    seen = []

    def work():
        with stop_requests() as request:
            seen.append((bool(request), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, signal.getsignal(signal.SIGINT))]
    assert not StopRequest()
