"""Several peers at once: nobody waits for one that does not answer, and nobody is visited twice at once."""

import socket
import threading
from contextlib import ExitStack

import pytest

from sync import pace
from sync.client import Peer
from sync.core.errors import PeerUnavailableError
from sync.visiting import AT_ONCE, Visits


def each(visits, names, work, seconds=20.0):
    """Visit ``names``; return the results sorted."""
    return sorted(visits.each(names, str, work, seconds))


def test_as_many_as_allowed_are_visited_at_once():
    """The barrier opens only when so many stand at it together."""
    barrier = threading.Barrier(AT_ONCE, timeout=20)
    names = [f"EDGE{number:02}" for number in range(2 * AT_ONCE)]
    assert each(Visits(), names, lambda name: (barrier.wait() >= 0, name)[1]) == names


def test_one_that_does_not_answer_holds_up_no_other_and_is_visited_again_after_it_has():
    """The others' results are there in time; who was wanted meanwhile gets its visit when the long one is over."""
    answers, visits, seen = threading.Event(), Visits(), []

    def work(name):
        seen.append(name)
        if name == "SLOW":
            answers.wait(20)
        return name

    assert each(visits, ["A", "SLOW", "B"], work, seconds=0.5) == ["A", "B"]
    assert each(visits, ["A", "SLOW", "B"], work) == ["A", "B"]
    assert seen.count("SLOW") == 1
    answers.set()
    for _ in range(100):
        if seen.count("SLOW") == 2:
            break
        threading.Event().wait(0.05)
    assert seen.count("SLOW") == 2


def test_a_visit_that_raises_holds_up_no_other():
    """What nobody foresaw at one peer is written down; the others are visited, and it is visited the next time."""
    visits = Visits()
    assert each(visits, ["A", "B", "C"], lambda name: {"A": "a", "C": "c"}[name], seconds=1) == ["a", "c"]
    assert each(visits, ["A", "B"], lambda name: name) == ["A", "B"]


def test_who_is_asked_to_stop_waits_no_longer():
    """A worker ends though a peer does not answer."""
    answers, visits = threading.Event(), Visits()
    threading.Timer(0.2, visits.stopped.set).start()
    assert each(visits, ["A", "B"], lambda name: answers.wait(20)) == []
    answers.set()


@pytest.fixture
def dripping():
    """The address of a server that answers for ever, a byte at a time."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        done = threading.Event()
        stack.callback(done.set)

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
                try:
                    while not done.wait(0.02):
                        connection.sendall(b" ")
                except OSError:
                    pass

        threading.Thread(target=answer, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_byte_now_and_then_is_no_answer(dripping, monkeypatch):
    """A timeout between two bytes never comes; too few of them in a while are taken for silence."""
    monkeypatch.setattr(pace, "WINDOW", 0.5)
    with pytest.raises(PeerUnavailableError, match="too slowly"):
        Peer("EDGE01-LON", dripping).json("GET", "hello")
