"""Pace, guesses, and things done at once."""

import anyio
import pytest

from dermaxai.api import limits
from dermaxai.api.limits import BackOff, OwnPlaces, Pace, Places
from dermaxai.errors import TooFast
from tests.api.small_server import ask, bearer, small_server, token_of


class Clock:
    moment = 1000.0

    def __call__(self):
        return self.moment


@pytest.fixture
def clock():
    return Clock()


def test_a_place_may_ask_as_often_as_it_may_and_then_waits(clock):
    pace = Pace(60, clock=clock)
    for _ in range(60):
        pace.spend("a")
    with pytest.raises(TooFast) as refused:
        pace.spend("a")
    assert refused.value.seconds == 1
    pace.spend("b")
    clock.moment += 1
    pace.spend("a")
    with pytest.raises(TooFast):
        pace.spend("a")
    clock.moment += 1000
    for _ in range(60):
        pace.spend("a")
    with pytest.raises(TooFast):
        pace.spend("a")


def test_without_a_size_nothing_is_counted(clock):
    pace = Pace(0, clock=clock)
    for _ in range(1000):
        pace.spend("a")
    assert len(pace) == 0


def test_only_so_many_places_are_remembered(clock, monkeypatch):
    monkeypatch.setattr(limits, "MOST_PLACES", 10)
    pace, back_off = Pace(1, clock=clock), BackOff(clock=clock)
    for index in range(100):
        pace.spend(str(index))
        back_off.count_wrong(str(index))
    assert (len(pace), len(back_off)) == (10, 10)
    with pytest.raises(TooFast):
        pace.spend("99")


def test_guesses_wait_twice_as_long_each_time(clock):
    back_off, waits = BackOff(clock=clock), []
    for _ in range(16):
        back_off.check("a")
        back_off.count_wrong("a")
        try:
            back_off.check("a")
            waits.append(0)
        except TooFast as refused:
            waits.append(refused.seconds)
            clock.moment += refused.seconds
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


def test_guesses_are_forgotten_after_a_right_one_or_an_hour(clock):
    back_off = BackOff(clock=clock)
    for _ in range(4):
        back_off.count_wrong("a")
        back_off.count_wrong("b")
    back_off.forget("a")
    back_off.count_wrong("a")
    back_off.check("a")
    clock.moment += 3601
    back_off.count_wrong("b")
    back_off.check("b")


def test_so_many_at_once_and_the_others_wait():
    async def run():
        places, inside, most = Places(2, waiting=100, seconds=60, what="things"), 0, 0

        async def one():
            nonlocal inside, most
            async with places.place():
                inside += 1
                most = max(most, inside)
                await anyio.sleep(0)
                inside -= 1

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(one)
        return most

    assert anyio.run(run) == 2


def test_waiting_has_an_end():
    async def run():
        places = Places(1, waiting=1, seconds=0.01, what="things")
        async with places.place():
            with pytest.raises(TooFast, match="things"):
                async with places.place():
                    pass
        async with places.place():
            return True

    assert anyio.run(run)


def test_too_many_do_not_even_wait():
    async def run():
        places = Places(1, waiting=0, seconds=60, what="things")
        with pytest.raises(TooFast):
            async with places.place():
                pass

    anyio.run(run)


def test_changes_are_counted_reading_at_home_is_not(tmp_path):
    app = small_server(tmp_path, per_minute=3)
    assert [ask(app, "POST", "/api/anything").status for _ in range(4)] == [200, 200, 200, 429]
    refused = ask(app, "POST", "/api/anything")
    assert refused.error == "TooFast"
    assert int(refused.header("retry-after")) >= 1
    assert {ask(app, "GET", "/api/who").status for _ in range(50)} == {200}


def test_on_a_shared_server_reading_is_counted_by_reader(tmp_path):
    app = small_server(tmp_path, host="0.0.0.0", per_minute=1)
    one, other = bearer(token_of(app, "a")), bearer(token_of(app, "b"))
    assert [ask(app, "GET", "/api/who", one).status for _ in range(11)] == [200] * 10 + [429]
    assert ask(app, "GET", "/api/who", one, client=("203.0.113.9", 1)).status == 429
    assert ask(app, "GET", "/api/who", other).status == 200
    assert {ask(app, "GET", "/web/x.js").status for _ in range(30)} == {200}, "the page is not counted"


def test_asking_without_a_token_is_counted_too(tmp_path):
    app = small_server(tmp_path, host="0.0.0.0", per_minute=1)
    statuses = [ask(app, "GET", "/api/who").status for _ in range(11)]
    assert statuses == [401] * 10 + [429]


def test_whoever_asks_for_much_takes_nobody_else_s_place():
    async def run():
        own = OwnPlaces(lambda: Places(1, waiting=1, seconds=0.01, what="things"))
        async with own.place("a"):
            with pytest.raises(TooFast, match="things"):
                async with own.place("a"):
                    pass
            async with own.place("b"):
                assert len(own) == 2
        return len(own)

    assert anyio.run(run) == 0
