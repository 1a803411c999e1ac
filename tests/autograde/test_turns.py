"""Turns: one check at a time, others while its student answers, and none after the end."""

import contextlib
import threading
import time

import pytest
import torch

from autograde.turns import Over, Turn, Turns


def background(work):
    """Start ``work`` in a thread, and return it."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_one_at_a_time_and_in_between_others():
    turns, seen, ready = Turns(), [], threading.Event()

    def other():
        ready.wait(10)
        with Turn(turns):
            seen.append("other")

    thread = background(other)
    with Turn(turns) as mine:
        ready.set()
        time.sleep(0.05)
        seen.append("mine")
        with mine.passed_on():
            thread.join(10)
        seen.append("mine again")
    assert seen == ["mine", "other", "mine again"]


def test_who_waits_is_excused_for_as_long_as_it_was():
    turns, excused = Turns(), []
    with Turn(turns):
        waiting = background(lambda: Turn(turns, excused.append).__enter__())
        time.sleep(0.1)
        assert excused == []
    waiting.join(10)
    assert len(excused) == 1 and 0.05 < excused[0] < 10


def test_the_random_state_is_each_ones_own():
    turns = Turns()
    wanted = torch.rand(2, generator=torch.Generator().manual_seed(3))
    with torch.random.fork_rng(devices=[]), Turn(turns) as mine:
        torch.manual_seed(3)
        first = torch.rand(())
        with mine.passed_on():
            torch.manual_seed(4)
        assert torch.stack([first, torch.rand(())]).tolist() == wanted.tolist()


def test_a_turn_that_was_ended_for_it_lets_others_go_on_and_ends_nobody_elses():
    turns = Turns()
    hung, other = Turn(turns).__enter__(), Turn(turns)
    assert hung.seconds() > 0
    hung.end()
    with other:
        assert hung.seconds() == 0
        hung.end()
        assert other.seconds() > 0


def test_after_the_end_there_are_no_turns():
    turns, ended = Turns(), []

    def waiting():
        with contextlib.suppress(Over), Turn(turns):
            ended.append("had one")
        ended.append("over")

    with Turn(turns) as mine:
        thread = background(waiting)
        start = time.monotonic()
        turns.close(0.2)  # it waits for this one, but not for ever
        assert time.monotonic() - start >= 0.2 and mine.seconds() > 0
        thread.join(10)
    assert ended == ["over"]
    turns.close(1000)
    with pytest.raises(Over), Turn(turns):
        pass
