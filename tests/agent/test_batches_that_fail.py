"""What becomes of events when sessions end behind them: split, waited with, set aside, learned from."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import pytest

from z4j_fastapi.agent.delivery import AGAIN_MAX_S, GROW_AFTER, LEAST_BYTES, STRIKES, Delivery, Sent
from z4j_fastapi.agent.in_flight import MAX_BATCHES
from z4j_fastapi.buffer import Batch

LIMIT = 1024 * 1024


@dataclass
class World:
    """A buffer, a brain and what is between them; `sessions` counts what the agent had to open.

    `closes` are event numbers and the code that the brain closes with behind them; above `passes` bytes a
    frame is lost, above `limit` the session is closed with 1009.
    """

    sizes: dict[int, int]
    closes: dict[int, int] = field(default_factory=dict)
    passes: int = LIMIT
    limit: int = LIMIT
    delivery: Delivery = field(default_factory=Delivery)
    stored: list[int] = field(default_factory=list)
    aside: list[int] = field(default_factory=list)
    sessions: int = 0
    now_s: float = 0.0
    stored_before: int = 0

    def run(self, sessions: int = 60) -> None:
        while len(self.stored) + len(self.aside) < len(self.sizes) and self.sessions < sessions:
            self.sessions += 1
            self.session()

    def session(self) -> None:
        waiting = deque(n for n in sorted(self.sizes) if n not in self.stored and n not in self.aside)
        held: list[Sent] = []
        on_their_way: list[Sent] = []
        while True:
            self.now_s += 0.01
            room = 1 if self.delivery.one_at_a_time else MAX_BATCHES
            sent = self.claim(waiting, held)
            alone = False
            if sent is None and not on_their_way:
                sent = next((one for one in held if self.delivery.may_try(one, self.now_s)), None)
                if alone := sent is not None:
                    held.remove(sent)
            if sent is not None:
                self.delivery.sent(self.now_s)
                on_their_way.append(sent)
            more = sent is not None or bool(on_their_way)
            if sent is None or alone or len(on_their_way) >= room:
                for n, one in enumerate(on_their_way):
                    code = self.end_of(one)
                    if code is None:
                        self.acknowledge(one)
                        continue
                    self.now_s += 60.0
                    rest = on_their_way[n:]
                    aside = self.delivery.ended(rest, code or None, self.now_s, is_lost=code == 0)
                    if aside:
                        self.aside.extend(aside.batch.ids)
                    return
                on_their_way.clear()
            if not more:
                self.now_s += 60.0
                return

    def claim(self, waiting: deque[int], held: list[Sent]) -> Sent | None:
        while waiting:
            events, room = self.delivery.wanted(50, LIMIT)
            ids = [waiting.popleft()]
            while waiting and len(ids) < events and sum(self.sizes[n] for n in (*ids, waiting[0])) <= room:
                ids.append(waiting.popleft())
            if self.delivery.is_mixed(self.batch(ids)):
                waiting.extendleft(reversed(ids[1:]))
                del ids[1:]
            sent = Sent.of(self.batch(ids))
            if not self.delivery.waits(sent, room):
                return sent
            held.append(sent)
        return None

    def batch(self, ids: list[int]) -> Batch:
        return Batch(tuple(ids), tuple("x" * self.sizes[n] for n in ids))

    def acknowledge(self, sent: Sent) -> None:
        self.stored.extend(sent.batch.ids)
        self.delivery.acknowledged(sent, self.now_s, more_on_their_way=False, limit_bytes=LIMIT)

    def end_of(self, sent: Sent) -> int | None:
        if sent.size > self.limit:
            return 1009
        if sent.size > self.passes:
            return 0
        return next((self.closes[n] for n in sent.batch.ids if n in self.closes), None)


def sizes(count: int, size: int = 300) -> dict[int, int]:
    return dict.fromkeys(range(1, count + 1), size)


def test_a_path_that_carries_everything_needs_one_session() -> None:
    world = World(sizes(1000))
    world.run()
    assert (len(world.stored), world.sessions) == (1000, 1)


@pytest.mark.parametrize("code", [1011, 4400])
@pytest.mark.parametrize("poison", [1, 40, 150])
def test_one_event_that_ends_the_session_is_set_aside_and_all_others_arrive(code: int, poison: int) -> None:
    world = World(sizes(151), {poison: code})
    world.run()
    assert world.aside == [poison]
    assert sorted(world.stored) == [n for n in range(1, 152) if n != poison]
    assert world.sessions <= 8
    assert not world.delivery.one_at_a_time


def test_three_closes_and_not_fewer() -> None:
    world = World({1: 2000}, limit=1500)
    world.run(STRIKES - 1)
    assert world.aside == []
    world.run(STRIKES)
    assert world.aside == [1]


def test_where_others_are_not_tried_none_is_known_to_be_bad() -> None:
    """It might be the brain that fails. Once it has acknowledged another one, that is known."""
    world = World(sizes(1), {1: 1011})
    world.run(20)
    assert (world.aside, world.stored) == ([], [])
    world.sizes[2] = 300
    world.run(22)
    assert (world.aside, world.stored) == ([1], [2])


def test_several_bad_events_are_found_each() -> None:
    world = World(sizes(200), {10: 1011, 11: 1011, 12: 4400, 200: 1011})
    world.run(30)
    assert len(world.stored) == 196
    world.sizes |= dict.fromkeys(range(201, 210), 300)
    world.run(40)
    assert sorted(world.aside) == [10, 11, 12, 200]
    assert len(world.stored) == 205


@pytest.mark.parametrize("count", [1, 2, 50])
@pytest.mark.parametrize("code", [1011, 4400])
def test_a_brain_that_fails_at_everything_for_a_while_costs_no_event(count: int, code: int) -> None:
    world = World(sizes(count), dict.fromkeys(range(1, count + 1), code))
    for _ in range(3):  # outages
        world.run(world.sessions + 60)
        assert (world.aside, len(world.stored)) == ([], world.stored_before)
        world.closes.clear()
        world.run(world.sessions + 20)
        world.stored_before = len(world.stored)
        assert world.stored_before == len(world.sizes)
        new = range(len(world.sizes) + 1, len(world.sizes) + count + 1)
        world.sizes |= dict.fromkeys(new, 300)
        world.closes = dict.fromkeys(new, code)


@pytest.mark.parametrize("code", [None, 1000, 1001, 1012, 4002, 4403, 4408])
def test_no_other_end_sets_anything_aside(code: int | None) -> None:
    delivery = Delivery()
    sent = Sent.of(Batch((1,), ("x" * 300,)))
    for _ in range(20):
        assert delivery.ended([sent], code, 0.0, is_lost=code is None) is None


def test_a_gateways_limit_is_learned_and_what_is_above_it_is_set_aside() -> None:
    world = World({**sizes(200, 2000), 77: 60_000}, limit=32_768)
    world.run()
    assert world.aside == [77]
    assert len(world.stored) == 199
    assert world.delivery.learned_bytes is not None
    assert LEAST_BYTES <= world.delivery.learned_bytes <= 32_768
    assert world.sessions <= 10


def test_a_learned_size_is_where_the_next_process_begins() -> None:
    world = World(sizes(200, 2000), limit=32_768, delivery=Delivery(20_000))
    world.run()
    assert world.sessions == 1


def test_a_learned_size_doubles_after_a_hundred_batches_and_is_forgotten_at_the_brains_limit() -> None:
    delivery = Delivery(LIMIT // 4)
    sent = Sent.of(Batch((1,), ("x" * 300,)))
    learned = []
    for _ in range(2 * GROW_AFTER):
        delivery.acknowledged(sent, 0.0, more_on_their_way=False, limit_bytes=LIMIT)
        learned.append(delivery.learned_bytes)
    assert learned.count(LIMIT // 4) == GROW_AFTER - 1
    assert learned[GROW_AFTER - 1] == LIMIT // 2
    assert learned[-1] is None


def test_where_large_frames_are_lost_small_ones_pass_and_nothing_is_set_aside() -> None:
    world = World({**sizes(300), 5: 20_000}, passes=1400)
    world.run(4)
    assert len(world.stored) == 299
    assert world.aside == []
    world.now_s += AGAIN_MAX_S
    world.passes = LIMIT
    world.run(6)
    assert len(world.stored) == 300


def test_a_path_that_loses_everything_for_a_while_makes_no_event_wait_for_long() -> None:
    world = World(sizes(20, 3000), passes=0)
    world.run(12)
    world.passes = LIMIT
    began_s = world.now_s
    while len(world.stored) < 20:
        world.now_s += 1.0
        world.session()
    assert world.now_s - began_s < AGAIN_MAX_S
    assert world.aside == []


def test_after_a_lost_connection_batches_are_soon_as_large_as_before() -> None:
    delivery = Delivery()
    batch = Sent.of(Batch(tuple(range(50)), ("x" * 300,) * 50))
    delivery.ended([batch], None, 0.0, is_lost=True)
    assert delivery.wanted(50, LIMIT)[0] == 1
    world = World(sizes(500), delivery=delivery)
    world.run()
    assert world.sessions == 1
    assert delivery.wanted(50, LIMIT) == (50, LIMIT)


def test_time_without_an_acknowledgement_is_counted_over_sessions_and_not_between_them() -> None:
    delivery = Delivery()
    sent = Sent.of(Batch((1,), ("x",)))
    delivery.sent(100.0)
    assert delivery.unacknowledged_s(120.0) == 20.0
    delivery.ended([sent], None, 140.0, is_lost=True)
    assert delivery.unacknowledged_s(1000.0) == 40.0
    delivery.sent(1000.0)
    assert delivery.unacknowledged_s(1005.0) == 45.0
    delivery.acknowledged(sent, 1006.0, more_on_their_way=True, limit_bytes=LIMIT)
    assert delivery.unacknowledged_s(1010.0) == 4.0
