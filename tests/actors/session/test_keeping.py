"""A picture that the store does not keep is held and kept later; it is never drawn again."""

from contextlib import suppress

import pykka
import pytest

from limner.actors.stores import MemoryStore
from limner.messages.errors import SessionCancelled, StoreFailed, UnknownMessage
from limner.messages.limiter.settings import LaneSettings

TEXT = '<!--img-prompt="a"--> text'
FULL = OSError(28, "No space left on device")


class Disk(MemoryStore):
    """A store whose `keep` raises these errors first; `None` hangs, for so many seconds."""

    def __init__(self, *errors, seconds=3_000):
        super().__init__()
        self.errors = list(errors)
        self.seconds = seconds
        self.calls = 0
        self.system = None

    def keep(self, task, data, picture):
        self.calls += 1
        if self.errors:
            error = self.errors.pop(0)
            if error is not None:
                raise error
            with suppress(pykka.Timeout):
                self.system.future(about="a disk").get(timeout=self.seconds)
        return super().keep(task, data, picture)


@pytest.fixture
def open_on(open_simulated):
    """Return a function that opens a studio on a disk that fails."""

    def open_one(*errors, seconds=3_000, **settings):
        disk = Disk(*errors, seconds=seconds)
        settings = {"latency": lambda pool, tag: 1_000, "backoff": 4, **settings}
        one = open_simulated(store=disk, **settings)
        disk.system = one.system
        return one

    return open_one


def started(one):
    return len(one.events("generation_started"))


class TestFails:
    """The store raises when it is to keep a picture."""

    def test_it_is_kept_by_the_next_try_and_not_drawn_again(self, open_on, works_after):
        one = open_on(StoreFailed("locked"), FULL)
        result = one.studio.illustrate("m", TEXT).get()
        assert (len(result.pictures), started(one), one.store.calls) == (1, 1, 3)
        first, second = one.events("keep_failed")
        assert (first["tries"], second["tries"]) == (1, 2)
        assert (first["reason"], "No space left" in second["reason"]) == ("locked", True)
        assert 2 <= first["delay"] <= 4 <= second["delay"] <= 8
        works_after(one)

    def test_the_lane_pauses_with_the_reason_of_the_store(self, open_on):
        one = open_on(FULL)
        future = one.studio.illustrate("m", TEXT)
        one.until("lane_paused")
        (paused,) = one.events("lane_paused")
        assert paused["seconds"] == pytest.approx(one.events("keep_failed")[0]["delay"])
        assert "a picture cannot be kept" in paused["reason"]
        assert "No space left" in paused["reason"]
        assert one.studio.limiter.report().state == "paused"
        other = one.studio.illustrate("n", TEXT)
        one.let_pass(1)
        assert started(one) == 1
        assert future.get().pictures
        assert other.get().pictures

    def test_the_slot_is_held_until_it_is_kept(self, open_on):
        one = open_on(*[FULL] * 6)
        future = one.studio.illustrate("m", TEXT)
        one.until("keep_failed", times=4)
        assert one.studio.status().lanes["image"].out == 1
        assert future.get().pictures
        assert one.studio.status().lanes["image"].out == 0

    def test_the_circuit_is_not_touched(self, open_on):
        lanes = {"image": LaneSettings(circuit_failures=1)}
        one = open_on(*[FULL] * 5, lanes=lanes)
        assert one.studio.illustrate("m", TEXT).get().pictures
        assert one.events("circuit_open") == one.events("generation_failed") == []

    def test_no_more_pictures_are_in_memory_than_there_are_slots(self, open_on):
        one = open_on(*[FULL] * 1_000, slots=2, deadline=200, write_at_deadline=True)
        texts = [one.studio.illustrate(f"m{number}", TEXT) for number in range(6)]
        one.let_pass(150)
        assert started(one) == 2
        for future in texts:
            assert future.get().written

    def test_one_that_keeps_others_does_not_pause_for_one(self, open_on):
        """A store that fails for one message alone does not hold up the others."""

        class ForOne(Disk):
            def keep(self, task, data, picture):
                if task.message_id == "broken":
                    raise StoreFailed("its document is broken")
                return super().keep(task, data, picture)

        one = open_on(deadline=250)
        one.store.__class__ = ForOne
        broken = one.studio.illustrate("broken", TEXT)
        one.until("keep_failed")
        others = [one.studio.illustrate(f"m{number}", TEXT) for number in range(9)]
        for other in others:
            assert other.get().pictures
        paused = len(one.events("lane_paused"))
        one.let_pass(100)
        assert len(one.events("lane_paused")) == paused
        assert not broken.done

    @pytest.mark.parametrize("error", [UnknownMessage("line 9 is no message"), TypeError("keep")])
    def test_what_cannot_be_kept_fails_at_once(self, open_on, error):
        one = open_on(error)
        result = one.studio.illustrate("m", TEXT).get()
        (failure,) = result.failures
        assert failure.state == "failed"
        assert "was made but could not be kept" in failure.reason
        assert (started(one), one.store.calls, one.events("lane_paused")) == (1, 1, [])

    def test_a_store_that_returns_no_picture_is_named(self, open_on):
        one = open_on()
        one.store.__class__ = type("Odd", (Disk,), {"keep": lambda self, task, data, picture: None})
        (failure,) = one.studio.illustrate("m", TEXT).get().failures
        assert "the store failed (TypeError)" in failure.reason
        (logged,) = one.events("generation_failed")
        assert "the store's keep gave NoneType, not a Picture" in logged["reason"]


class TestHangs:
    """The store does not come back when it is to keep a picture."""

    def test_the_store_is_named_and_not_the_generator(self, open_on):
        one = open_on(*[None] * 9, generation_timeout=8, store_timeout=5, attempts=2)
        result = one.studio.illustrate("m", TEXT).get()
        (failure,) = result.failures
        assert failure.reason == (
            "its picture was made but could not be kept: the store has not come back in 5 s"
        )
        assert (started(one), one.store.calls, one.studio.status().abandoned) == (1, 2, 2)
        assert one.events("circuit_open") == []

    def test_another_try_may_succeed_where_one_hangs(self, open_on, works_after):
        one = open_on(None, generation_timeout=8, store_timeout=5)
        assert one.studio.illustrate("m", TEXT).get().pictures
        assert (started(one), one.store.calls) == (1, 2)
        works_after(one)

    def test_a_slow_one_is_waited_for_past_the_generator_s_timeout(self, open_on):
        def latency(pool, tag):
            return 1_000 if pool.startswith("store") else 4_000_000

        one = open_on(None, seconds=9, generation_timeout=10, latency=latency)
        assert one.studio.illustrate("m", TEXT).get().pictures
        assert (started(one), one.events("keep_failed")) == (1, [])

    def test_one_that_comes_back_late_has_kept_it(self, open_on):
        one = open_on(None, seconds=30, generation_timeout=8, store_timeout=5, attempts=1)
        assert one.studio.illustrate("m", TEXT).get().failures
        one.until("generation_late")
        assert len(one.store.kept("m")) == 1

    def test_a_lease_that_ends_meanwhile_loses_no_picture(self, open_on):
        lanes = {"image": LaneSettings(lease=3)}
        one = open_on(None, lanes=lanes, generation_timeout=60)
        assert one.studio.illustrate("m", TEXT).get().pictures
        assert (started(one), one.store.calls) == (1, 2)
        assert len(one.events("slot_expired")) == 1


class TestEnds:
    """The task settles before its picture is kept."""

    def test_the_deadline_writes_the_text_and_says_why(self, open_on):
        one = open_on(*[FULL] * 1_000, deadline=60, write_at_deadline=True)
        result = one.studio.illustrate("m", TEXT).get()
        assert result.written
        (failure,) = result.failures
        assert failure.state == "failed"
        assert "its picture was made but could not be kept" in failure.reason
        assert "No space left" in failure.reason
        assert started(one) == 1

    def test_a_cancelled_one_is_tried_a_last_time(self, open_on):
        one = open_on(FULL)
        stream = one.studio.stream("m")
        stream.feed(TEXT)
        one.until("keep_failed")
        stream.cancel()
        with pytest.raises(SessionCancelled):
            stream.future.get()
        one.until("generation_late")
        assert len(one.store.kept("m")) == 1
        result = one.studio.illustrate("m", TEXT).get()
        assert (len(result.pictures), started(one)) == (1, 1)

    def test_a_withdrawn_one_is_no_failure(self, open_on):
        one = open_on(FULL)
        stream = one.studio.stream("m")
        stream.feed(TEXT)
        one.until("keep_failed")
        stream.replace("no prompt")
        result = stream.finish().get()
        assert (result.failures, result.pictures, started(one)) == ((), (), 1)

    @pytest.mark.parametrize("error", [FULL, None])
    def test_closing_waits_no_longer_than_the_grace(self, open_on, error):
        one = open_on(*[error] * 1_000, grace=3, generation_timeout=10, store_timeout=10)
        one.studio.illustrate("m", TEXT)
        one.until("keep_failed")
        before = one.now
        one.studio.close()
        assert one.now - before < 3 + 1

    def test_the_slot_comes_back_when_its_processor_fails(self, open_on, works_after):
        one = open_on(FULL, backoff=20)
        future = one.studio.illustrate("m", TEXT)
        one.until("keep_failed")
        (ref,) = pykka.ActorRegistry.get_by_class_name("ProcessorActor")
        ref.tell(type("Poison", (), {"__class__": property(lambda _: 1 / 0)})())
        with pytest.raises(Exception, match="ZeroDivisionError"):
            future.get()
        works_after(one)

    def test_a_slot_that_is_revoked_goes_back_at_once(self, open_on):
        one = open_on(*[FULL] * 3, slots=1, preempt=True)
        first = one.studio.illustrate("m", TEXT, priority="background")
        one.until("keep_failed")
        second = one.studio.illustrate("n", TEXT)
        assert second.get().pictures
        assert first.get().pictures
        assert started(one) == 2


class TestKept:
    """A picture is kept, and in no text yet."""

    def kept(self, one):
        """Have a picture kept for `m` that no text has: its session is cancelled meanwhile."""
        stream = one.studio.stream("m")
        stream.feed(TEXT)
        one.until("generation_completed")
        stream.cancel()
        with pytest.raises(SessionCancelled):
            stream.future.get()
        assert len(one.store.kept("m")) == 1

    def test_one_that_is_reused_takes_no_slot_and_is_named(self, open_simulated):
        one = open_simulated()
        self.kept(one)
        (kept,) = one.store.kept("m").values()
        slots = len(one.events("slot_requested"))
        assert len(one.studio.illustrate("m", TEXT).get().pictures) == 1
        assert len(one.events("slot_requested")) == slots
        (settled,) = one.events("task_settled", kept=True)
        assert settled["picture_id"] == kept.id

    def test_reconciling_places_it(self, open_simulated):
        one = open_simulated()
        self.kept(one)
        one.store.write("m", TEXT, expected_version=None)
        result = one.studio.reconcile("m").get()
        assert len(result.pictures) == 1
        assert one.store.load("m")[0].count("<img data-limner") == 1
        assert one.store.kept("m") == {}
        assert not one.studio.reconcile("m").get().written

    def test_one_whose_bytes_are_lost_is_not_placed(self, open_simulated):
        one = open_simulated()
        self.kept(one)
        one.store.pictures.clear()
        one.store.write("m", TEXT, expected_version=None)
        assert not one.studio.reconcile("m").get().written
        assert one.studio.illustrate("m", TEXT).get().pictures
        assert len(one.events("generation_started")) == 2
