"""One look at the table for all who listen; no server is needed."""

import asyncio
import json

from dermaxai.api import events
from dermaxai.api.events import Watch, mark_of
from dermaxai.errors import StoreUnreachable


class Table:
    """Jobs as the store would tell them."""

    def __init__(self, **states):
        self.views = {int(name[1:]): view(int(name[1:]), state) for name, state in states.items()}
        self.looks = []
        self.broken = 0

    def look(self, wanted):
        self.looks.append(set(wanted))
        if self.broken:
            self.broken -= 1
            raise StoreUnreachable("The database does not answer.")
        return {job_id: dict(self.views[job_id]) for job_id in wanted if job_id in self.views}


def view(job_id, state="waiting", content=0):
    return {"id": job_id, "state": state, "content": content, "stages": [], "ahead": 0}


def states_in(pieces):
    lines = [line for piece in pieces for line in piece.decode().splitlines()]
    return [json.loads(line.removeprefix("data: "))["state"] for line in lines if line.startswith("data: ")]


async def hear(watch, job_id, seen=""):
    return [piece async for piece in watch.follow(job_id, seen)]


def play(scene, monkeypatch, alive=60.0):
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(events, "ALIVE_SECONDS", alive)
    return asyncio.run(asyncio.wait_for(scene(), 60))


async def until(condition):
    while not condition():
        await asyncio.sleep(0.001)


def test_every_change_is_told_until_the_end(monkeypatch):
    table = Table(j1="waiting")

    async def scene():
        watch, heard = Watch(table.look), []
        async for piece in watch.follow(1):
            heard.append(piece)
            told = states_in(heard)
            if told == ["waiting"]:
                table.views[1] = view(1, "running")
            if told == ["waiting", "running"]:
                table.views[1] = view(1, "done", 1)
        return heard

    heard = play(scene, monkeypatch)
    assert states_in(heard) == ["waiting", "running", "done"]
    assert heard[0] == b"retry: 1000\n\n"
    assert b"event: progress" in heard[1]
    assert heard[-1].endswith(b"\n\n")


def test_many_listeners_cost_one_look(monkeypatch):
    table = Table(j1="waiting", j2="waiting")

    async def scene():
        watch = Watch(table.look)
        tasks = [asyncio.create_task(hear(watch, 1 + number % 2)) for number in range(50)]
        await until(lambda: len(table.looks) > 3)
        table.views = {1: view(1, "done"), 2: view(2, "failed")}
        return await asyncio.gather(*tasks)

    heard = play(scene, monkeypatch)
    assert [states_in(one) for one in heard] == [["waiting", "done"], ["waiting", "failed"]] * 25
    assert all(wanted <= {1, 2} for wanted in table.looks)
    assert len(table.looks) < 500


def test_nobody_looks_when_nobody_listens(monkeypatch):
    table = Table(j1="running")

    async def scene():
        watch = Watch(table.look)
        listening = asyncio.create_task(hear(watch, 1))
        await until(lambda: table.looks)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await until(lambda: watch._looking.done())
        first = len(table.looks)
        table.views[1] = view(1, "done")
        assert states_in(await hear(watch, 1)) == ["done"]
        return first

    assert play(scene, monkeypatch) >= 1


def test_what_was_seen_is_not_told_again(monkeypatch):
    table = Table(j1="running")
    seen = mark_of(table.views[1])

    async def scene():
        watch = Watch(table.look)
        listening = asyncio.create_task(hear(watch, 1, seen))
        await until(lambda: len(table.looks) > 2)
        table.views[1] = view(1, "done")
        return await listening

    assert states_in(play(scene, monkeypatch)) == ["done"]


def test_a_sign_of_life_where_nothing_happens(monkeypatch):
    table = Table(j1="running")

    async def scene():
        watch = Watch(table.look)
        async for piece in watch.follow(1):
            if piece.startswith(b":"):
                table.views[1] = view(1, "done")
        return True

    assert play(scene, monkeypatch, alive=0.005)


def test_a_job_that_is_deleted_ends_the_stream(monkeypatch):
    table = Table(j1="running")

    async def scene():
        watch = Watch(table.look)
        listening = asyncio.create_task(hear(watch, 1))
        await until(lambda: len(table.looks) > 1)
        table.views.clear()
        return await listening

    assert states_in(play(scene, monkeypatch)) == ["running"]


def test_a_store_that_does_not_answer_for_a_while(monkeypatch, caplog):
    table = Table(j1="done")
    table.broken = 2

    async def scene():
        return await hear(Watch(table.look), 1)

    assert states_in(play(scene, monkeypatch)) == ["done"]
    assert "StoreUnreachable" in caplog.text


def test_a_server_that_stops_ends_every_stream(monkeypatch):
    table = Table(j1="running", j2="running")

    async def scene():
        watch = Watch(table.look)
        tasks = [asyncio.create_task(hear(watch, job_id)) for job_id in (1, 2)]
        await until(lambda: len(table.looks) > 1)
        watch.close()
        return await asyncio.gather(*tasks)

    assert [states_in(one) for one in play(scene, monkeypatch)] == [["running"], ["running"]]


def test_a_mark_is_that_of_the_whole_job():
    assert mark_of(view(1)) == mark_of(view(1)) != mark_of(view(1, "running"))
    assert mark_of(view(1, content=3)).startswith("3-")


def test_streams_are_counted_by_person_while_they_are_open(monkeypatch):
    table = Table(j1="running")

    async def scene():
        watch = Watch(table.look)
        pieces = watch.follow(1, who="a")
        await anext(pieces)
        assert (watch.count("a"), watch.count("b")) == (1, 0)
        await pieces.aclose()
        return watch.count("a")

    assert play(scene, monkeypatch) == 0
