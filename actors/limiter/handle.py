"""`Studio.limiter`: the limiter as a host sees it.

It runs on hosts' threads, where there is no actor that could `tell`. So it delivers its messages:
`deliver` raises nothing if the actor ends meanwhile.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import Context, copy_context
from functools import partial, wraps
from inspect import iscoroutinefunction
from itertools import count
from pathlib import Path
from typing import Any, Generic, ParamSpec, Self, TypeVar

import pykka

from limner.actors.limiter.call_messages import (
    AddToBatch,
    BatchOptions,
    CallOptions,
    ScheduleCall,
    WithdrawCall,
    slot_request,
)
from limner.actors.limiter.held_slots import HoldSlot
from limner.actors.limiter.lane_control import LaneControl, closed
from limner.actors.limiter.mapping import results_of
from limner.actors.limiter.own_actors import OwnActors
from limner.actors.limiter.slots import AsyncHeldSlot, HeldSlot, Holding
from limner.actors.system import (
    CallFuture,
    Loop,
    PooledRef,
    System,
    in_thread,
    loop_of,
)
from limner.messages.errors import CloseRefused, SettingsInvalid, SlotRefused
from limner.messages.limiter.call_rules import ONCE, CallRules, name_of, rules_of
from limner.messages.limiter.costs import costs_of, deadline_of
from limner.messages.limiter.protocol import (
    SettleCosts,
    SlotGranted,
    WithdrawRequest,
)
from limner.messages.limiter.refusal import Refusal
from limner.messages.limiter.reservoir import MICROSECONDS
from limner.messages.limiter.settings import LaneSettings
from limner.messages.settings import Settings
from limner.messages.validation import group_of, owner_of, priority_of, seconds_of, weight_of

P = ParamSpec("P")
T = TypeVar("T")
Item = TypeVar("Item")

NAMED_KEPT = 100
"""Named calls from which on those that have ended are forgotten."""

NO_BUDGETS: frozenset[str] = frozenset()


class Limiter(LaneControl):
    """A studio's limiter, or one of its own. Safe to use from any thread.

    Wherever a lane is named, that is one of `Settings.lanes`, `image`, or `group:key` for any key
    of one of `Settings.lane_groups`; any other name raises `SettingsInvalid`. Each method raises
    `StudioClosed` once the studio is closed, or the limiter that was opened by itself.

    Args:
        ref: the limiter's actor.
        system: that it runs on.
        lanes: the settings in force, by the lane's name.
        groups: those of lane groups, whose lanes are named `group:key`.
        workers: the name of the thread pool of each lane and group.
        caller: the actor that runs a host's own calls.
        own: the actors that end with it; `None` if it is a studio's.
    """

    def __init__(
        self,
        ref: PooledRef[Any],
        system: System,
        lanes: Mapping[str, LaneSettings],
        groups: Mapping[str, LaneSettings],
        workers: Mapping[str, str],
        caller: PooledRef[Any],
        own: OwnActors | None = None,
    ) -> None:
        super().__init__(ref, system, lanes, groups, workers, caller)
        self._own = own
        self._numbers = count(1)
        self._named_calls: dict[str, CallFuture[Any]] = {}
        self._named_kept = NAMED_KEPT

    @classmethod
    def open(
        cls,
        lanes: Mapping[str, LaneSettings] | None = None,
        *,
        groups: Mapping[str, LaneSettings] | None = None,
        events: str | Path | None = None,
        grace: float = 5,
        system: System | None = None,
    ) -> Self:
        """Open a limiter without a studio, for a host that wants nothing else of it.

        Leave it as a context manager, or with `close`. An example:

            with Limiter.open({"api": LaneSettings(max_concurrent=2)}) as limiter:
                answer = limiter.schedule(lambda: requests.get(url), lane="api").get()

        Args:
            lanes: by name; the lane `image` alone, with three slots, if `None`.
            groups: lane groups by name, whose lanes are named `group:key`.
            events: a file for the event log; `None` for none.
            grace: seconds that calls have after Ctrl-C, and the log at the end.
            system: what its actors run on; one of its own if `None`.

        Raises:
            SettingsInvalid: if lanes, groups, events or grace cannot be used.
            StoreFailed: if the event log cannot be written.
        """
        given = Settings(lanes=lanes or {}, lane_groups=groups or {}, events=events, grace=grace)
        every = {**given.lanes, **given.lane_groups}.values()
        if not lanes or any(lane.behind == "image" for lane in every):
            given = given.but(lanes=given.all_lanes)
        own = OwnActors(given, system)
        return cls(
            *(own.limiter, own.system, given.lanes, given.lane_groups, own.pools, own.caller, own)
        )

    def close(self, *, timeout: float | None = None) -> None:
        """Refuse calls that have not begun, wait for those that run, and stop every actor.

        Leaving the `with` block does the same; where it is left by what is no `Exception`, such as
        a `KeyboardInterrupt`, calls are waited for `grace` seconds. Closing again waits for the
        same end.

        Args:
            timeout: seconds to wait, 0 to 86,400. Then calls that still run fail with
                `StudioClosed`, though their threads may run on. By default until the end of their
                lane's `lease`.

        Raises:
            CloseRefused: if it is a studio's, which closes it; or if it is called by what it would
                wait for: a call, a future's callback, a thread that holds a slot.
            SettingsInvalid: if the timeout is none.
        """
        if self._own is None:
            raise CloseRefused("this limiter is its studio's, and ends with it; close the studio")
        if timeout is not None:
            timeout = seconds_of("timeout", timeout)
        self._own.check_may_wait()
        self._own.close(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        hurried = kind is not None and not issubclass(kind, Exception)
        self.close(timeout=self._own.settings.grace if hurried and self._own else None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *how: Any) -> None:
        await in_thread(partial(self.__exit__, *how))

    def schedule(
        self,
        call: Callable[[], T],
        *,
        lane: str = "image",
        priority: str | int = "active",
        owner: str | None = None,
        weight: int = 1,
        blocks: bool = True,
        attempts: int = 1,
        retry_on: type[BaseException] | Iterable[type[BaseException]] | None = None,
        timeout: float | None = None,
        preemptible: bool = False,
        name: str | None = None,
        costs: Mapping[str, int] | None = None,
        settle: Callable[[T], Mapping[str, int]] | None = None,
        deadline: float | None = None,
        refuse_late: bool = False,
    ) -> CallFuture[T]:
        """Run a host's own call on a worker thread once it has a slot.

        It sees the context variables that are there now. One that has a parameter `cancelled` gets
        what generators get: `cancelled.is_set()` and `cancelled.wait(seconds)` tell it to return.

        A call that fails may be made again, up to `attempts` times, by the rules of generators:
        its slot is returned, it waits for `Settings.backoff`, twice that after each failure, or for
        as long as the back end asks, and requests another slot. It is made again after the errors
        in `retry_on`. By default these are time-outs, errors of the network and of Limner, HTTP
        statuses 408, 425, 429 and from 500 on, and returned answers with status 429, 503 or 529;
        never an error whose `retryable` is false. The future gets the end of the last call.

        Args:
            call: what to run; it may block. `run` takes coroutine functions.
            lane: of the slot.
            priority: `active`, `background`, or 0 (first) to 9.
            owner: on whose behalf, up to 200 characters.
            weight: of the slot, 1 or more.
            blocks: whether the call may block; one that returns at once needs no thread of its
                own, and must not wait for another such call.
            attempts: how often it is called at most, 1 to 1,000.
            retry_on: types of errors after which it is called again.
            timeout: seconds that each call may take, above 0 and up to 86,400; then it is
                cancelled and abandoned, and has failed with `CallTimedOut`.
            preemptible: whether an active request may take its slot, in a lane with `preempt`. The
                call is cancelled then, and made again unless it returns; if it does not come back
                within the lane's `grace`, it is abandoned. So it must be safe to make it again.
            name: of the call, in the event log and in lists; 1 to 100 letters, digits, `_`, `.`,
                `:` or `-`. By default it is numbered.
            costs: what it takes of budgets of its lane, and of lanes upstream, by their names:
                whole numbers from 0. It takes them with its slot. Of a budget that is not named it
                takes the `default`: 1 of `requests`, 0 of others, unless settings say otherwise.
            settle: called on the worker thread with what the call returned; it returns what the
                call has cost. The difference is given back, or taken. If it is not given, fails, or
                the call fails, the costs stay as they were reserved.
            deadline: seconds from now, above 0, by which it must have its slot; then it is dropped
                with `Refusal.DEADLINE`. Of its owner's requests of one priority, the earliest
                deadline goes first. The call can ask `limner.actors.time_left()`.
            refuse_late: whether it is refused at once if it cannot have its slot by then, by what
                is known of its lanes: pauses, `min_time`, reservoirs and budgets.

        Returns:
            What the call returns or raises; `SlotRefused` if it got no slot, with the `reason` and
            the `lane`; `LeaseEnded` if it held it for longer than the lane's `lease`, though the
            call itself runs on; `ResultNotAwaited` if the call gives a coroutine. The future can
            be awaited, and cancelled until the call begins, and while it waits to be made again.

        Raises:
            SettingsInvalid: if one of these cannot be, no lane that it passes has such a budget,
                or a call of that name has not ended.
            StudioClosed: if the studio is closed.
        """
        options = self._options(
            call,
            lane,
            priority,
            owner,
            weight,
            blocks=blocks,
            costs=costs,
            settle=settle,
            deadline=deadline,
            refuse_late=refuse_late,
        )
        rules = rules_of(call, attempts, retry_on, timeout, preemptible=preemptible)
        return self._schedule(call, options, rules, copy_context(), name)

    def run(
        self,
        function: Callable[..., Awaitable[T]],
        *args: Any,
        lane: str = "image",
        priority: str | int = "active",
        owner: str | None = None,
        weight: int = 1,
        loop: object | None = None,
    ) -> CallFuture[T]:
        """Run a coroutine function on an asyncio loop once it has a slot, as a task of its own.

        The slot is held until the task has ended. The task sees the context variables that are
        there now. If all who await the future are cancelled, or it is cancelled itself, the call
        is withdrawn, or its task is cancelled. If the task is cancelled, the future raises that.

        Args:
            function: what to call on the loop; it returns what is awaited there.
            args: for the function; `functools.partial` takes those that have names.
            lane: of the slot.
            priority: `active`, `background`, or 0 (first) to 9.
            owner: on whose behalf, up to 200 characters.
            weight: of the slot, 1 or more.
            loop: an asyncio loop; the one that runs on this thread if `None`.

        Returns:
            What the function returns or raises; else as `schedule`. Past the lane's `lease`, the
            task is cancelled.

        Raises:
            SettingsInvalid: if lane, priority, owner or weight cannot be one, or no loop is known.
            StudioClosed: if the studio is closed.
        """
        place = loop_of(loop)
        if place is None:
            raise SettingsInvalid("run: call it on a running asyncio loop, or give `loop=`")
        options = self._options(function, lane, priority, owner, weight, blocks=False, loop=place)
        return self._schedule(partial(function, *args), options)

    def settle(self, call: CallFuture[Any] | str, costs: Mapping[str, int]) -> None:
        """Set what a call has cost of budgets, whatever it took with its slot.

        What it took too much is given back, in its own span of time; what it took too little is
        taken, also if that many are not left: what comes later pays the debt first. It may be said
        while the call runs, any number of times, and the last word counts. It may be said after the
        call has ended, until the longest span of time of its budgets is over since. A call that
        waits, or is over for longer, is ignored.

        Args:
            call: the future that `schedule` returned, or its name.
            costs: what the call has cost, by the names of budgets; whole numbers from 0. Of those
                that are not named, what it took stays taken.

        Raises:
            SettingsInvalid: if the costs, or the call, cannot be.
            StudioClosed: if the studio is closed.
        """
        name = call if isinstance(call, str) else getattr(call, "name", None)
        if not isinstance(name, str):
            raise SettingsInvalid("settle: give the future of a call that was scheduled")
        self.ref.deliver(SettleCosts(name=name, costs=costs_of(costs)))
        if not self.ref.is_alive():
            raise closed()

    def map(
        self,
        function: Callable[[Item], T],
        items: Iterable[Item],
        *,
        ahead: int = 100,
        lane: str = "image",
        priority: str | int = "active",
        owner: str | None = None,
        weight: int = 1,
        blocks: bool = True,
    ) -> Iterator[T]:
        """Call a function with each item, through `schedule`; yield the results in their order.

        Items are taken as results are, and no more than `ahead` calls are scheduled and not yet
        yielded. What a call raises is raised in its place and ends the iterator; then, or if the
        iterator is closed, the calls that have not begun are cancelled.

        Args:
            function: what to call; it may block.
            items: any number of them.
            ahead: calls in flight at most, 1 or more.
            lane: of each slot.
            priority: `active`, `background`, or 0 (first) to 9.
            owner: on whose behalf, up to 200 characters.
            weight: of each slot, 1 or more.
            blocks: whether the call may block.

        Raises:
            SettingsInvalid: if one of these cannot be.
            StudioClosed: if the studio is closed.
        """
        if type(ahead) is not int or ahead < 1:
            raise SettingsInvalid(f"ahead: a whole number from 1, not {ahead!r:.80}")
        options = self._options(function, lane, priority, owner, weight, blocks=blocks)

        def schedule(call: Callable[[], T]) -> CallFuture[T]:  # each with a context of its own
            return self._schedule(call, options, context=copy_context())

        return results_of(schedule, function, items, ahead)

    def slot(
        self,
        lane: str = "image",
        *,
        priority: str | int = "active",
        owner: str | None = None,
        weight: int = 1,
        timeout: float | None = None,
    ) -> HeldSlot:
        """Hold a slot around code of the host's own: `with limiter.slot("api") as slot:`.

        Entering the block waits for the slot, leaving it returns it; an error that leaves the
        block counts for the back end as that of a call does. `slot.expired` tells whether the
        lease has ended meanwhile, `slot.seconds_left` and `slot.expires_at` when it will.

        Args:
            lane: of the slot.
            priority: `active`, `background`, or 0 (first) to 9.
            owner: on whose behalf, up to 200 characters.
            weight: of the slot, 1 or more.
            timeout: seconds to wait for it at most, above 0; as long as it takes if `None`.

        Raises:
            SlotRefused: in entering the block, if there is no slot; `Refusal.MAX_WAIT` if there is
                none within the timeout. Then no slot is held.
            SettingsInvalid: if one of these cannot be.
            StudioClosed: if the studio is closed; in entering it, if it closes meanwhile.
        """
        hold, seconds = self._holding(lane, priority, owner, weight, timeout)
        return HeldSlot(lane, hold, self.ref, self._caller, self._system, seconds)

    def aslot(
        self,
        lane: str = "image",
        *,
        priority: str | int = "active",
        owner: str | None = None,
        weight: int = 1,
        timeout: float | None = None,
    ) -> AsyncHeldSlot:
        """Hold a slot on an asyncio loop: `async with limiter.aslot("api") as slot:`.

        Waiting for it does not block the loop, and may be cancelled. All else is as `slot` says.

        Args:
            lane: of the slot.
            priority: `active`, `background`, or 0 (first) to 9.
            owner: on whose behalf, up to 200 characters.
            weight: of the slot, 1 or more.
            timeout: seconds to wait for it at most, above 0; as long as it takes if `None`.

        Raises:
            SlotRefused, SettingsInvalid, StudioClosed: as `slot` does.
        """
        hold, seconds = self._holding(lane, priority, owner, weight, timeout)
        return AsyncHeldSlot(lane, hold, self.ref, self._caller, self._system, seconds)

    def collect(
        self,
        call: Callable[[list[Item]], Sequence[T]],
        *,
        max_size: int,
        max_time: float,
        lane: str = "image",
        priority: str | int = "active",
        owner: str | None = None,
        weight: int = 1,
        blocks: bool = True,
        costs: Mapping[str, int] | None = None,
        settle: Callable[[list[Any]], Mapping[str, int]] | None = None,
    ) -> Batches[Item, T]:
        """Gather items for a back end that takes several in a call: one slot grants a batch.

        Args:
            call: what to run with the items of a batch, in the order in which they came. It returns
                as many results. A result that is an exception fails the future of its item.
            max_size: items of a batch, 1 or more; a full batch requests its slot at once.
            max_time: seconds after which a batch that is not full requests its slot; 0 or more.
            lane: of the slot.
            priority: `active`, `background`, or 0 (first) to 9.
            owner: on whose behalf, up to 200 characters.
            weight: of a batch's slot, 1 or more.
            blocks: whether the call may block.
            costs: what a batch takes of budgets, as for `schedule`.
            settle: called with the list of the results; it returns what the batch has cost.

        Raises:
            SettingsInvalid: if one of these cannot be.
            StudioClosed: if the studio is closed.
        """
        if type(max_size) is not int or max_size < 1:
            raise SettingsInvalid(f"max_size: a whole number from 1, not {max_size!r:.80}")
        seconds = seconds_of("max_time", max_time)
        options = self._options(
            call, lane, priority, owner, weight, blocks=blocks, costs=costs, settle=settle
        )
        return Batches(self._add, BatchOptions(call, options, max_size, seconds))

    def withdraw(self, future: pykka.Future[Any]) -> bool:
        """Cancel a call that was scheduled or added to a batch, if it has not begun.

        The same as `future.cancel()`. The future then raises `SlotRefused`, with
        `Refusal.WITHDRAWN`. The rest of its batch goes on without it.

        Args:
            future: as `schedule` or `Batches.add` returned it.

        Returns:
            Whether the call will never run; false if it has begun, or ended otherwise.

        Raises:
            SettingsInvalid: if it is no such future.
        """
        if not isinstance(future, CallFuture):
            raise SettingsInvalid("withdraw: give the future of a call that was scheduled")
        return future.cancel()

    def limited(
        self,
        *,
        lane: str = "image",
        priority: str | int = "active",
        owner: str | None = None,
        weight: int = 1,
        blocks: bool = True,
        costs: Mapping[str, int] | None = None,
        settle: Callable[[T], Mapping[str, int]] | None = None,
        deadline: float | None = None,
        refuse_late: bool = False,
    ) -> Callable[[Callable[P, T]], Callable[P, CallFuture[T]]]:
        """Return a decorator: each call of the function goes through `schedule`.

        The decorated function returns a future.

        Args:
            lane: of the slot.
            priority: `active`, `background`, or 0 (first) to 9.
            owner: on whose behalf, up to 200 characters.
            weight: of the slot, 1 or more.
            blocks: whether the call may block.
            costs: what a call takes of budgets, as for `schedule`.
            settle: what it has cost, from what it returned.
            deadline: seconds from each call of the function.
            refuse_late: whether a call that cannot have its slot by then is refused at once.

        Raises:
            SettingsInvalid: if one of these cannot be, or what is decorated cannot be called.
            StudioClosed: when the function is called, if the studio is closed.
        """

        def decorate(function: Callable[P, T]) -> Callable[P, CallFuture[T]]:
            self._options(
                function,
                lane,
                priority,
                owner,
                weight,
                blocks=blocks,
                costs=costs,
                settle=settle,
                deadline=deadline,
                refuse_late=refuse_late,
            )

            @wraps(function)
            def scheduled(*args: P.args, **kwargs: P.kwargs) -> CallFuture[T]:
                call = partial(function, *args, **kwargs)
                return self.schedule(
                    call,
                    lane=lane,
                    priority=priority,
                    owner=owner,
                    weight=weight,
                    blocks=blocks,
                    costs=costs,
                    settle=settle,
                    deadline=deadline,
                    refuse_late=refuse_late,
                )

            return scheduled

        return decorate

    def _holding(
        self,
        lane: str,
        priority: str | int,
        owner: str | None,
        weight: int,
        timeout: float | None,
    ) -> tuple[Callable[[Holding], CallFuture[SlotGranted]], float | None]:
        """Return what requests a slot to be held, and the seconds to wait for it."""
        options = self._options(HeldSlot, lane, priority, owner, weight, blocks=False)
        if timeout is not None and not (timeout := seconds_of("timeout", timeout)):
            raise SettingsInvalid("timeout: seconds above 0, not 0")
        return partial(self._hold, options), timeout

    def _hold(self, options: CallOptions, holder: Holding) -> CallFuture[SlotGranted]:
        self._check(options.lane)
        future: CallFuture[SlotGranted] = self._future(options.lane)
        self._deliver_call(HoldSlot(future.name, future, holder))
        self.ref.deliver(slot_request(future.name, options, self._caller))
        return future

    def _schedule(
        self,
        call: Callable[[], Any],
        options: CallOptions,
        rules: CallRules = ONCE,
        context: Context | None = None,
        name: str | None = None,
    ) -> CallFuture[Any]:
        future = self._future(options.lane) if name is None else self._named(options.lane, name)
        self._deliver_call(ScheduleCall(future.name, call, future, options, rules, context))
        revocable = rules.preemptible
        self.ref.deliver(slot_request(future.name, options, self._caller, revocable=revocable))
        return future

    def _add(self, batches: BatchOptions, item: Any) -> CallFuture[Any]:
        self._check(batches.options.lane)
        future = self._future(batches.options.lane)
        self._deliver_call(AddToBatch(future.name, batches, item, future))
        return future

    def _future(self, lane: str) -> CallFuture[Any]:
        name = f"call-{next(self._numbers)}"
        return self._system.call_future(name, partial(self._cancelled, lane))

    def _named(self, lane: str, name: str) -> CallFuture[Any]:
        """Return the future of a call that the host has named; no other of the name is pending."""
        name_of(name)
        with self._lock:
            if name in self._named_calls and not self._named_calls[name].done:
                raise SettingsInvalid(f"name: a call {name!r} waits or runs; give each its own")
            if len(self._named_calls) >= 2 * self._named_kept:
                named = self._named_calls
                self._named_calls = {key: of for key, of in named.items() if not of.done}
                self._named_kept = max(NAMED_KEPT, len(self._named_calls))
            future = self._system.call_future(name, partial(self._cancelled, lane))
            self._named_calls[name] = future
        return future

    def _cancelled(self, lane: str, name: str) -> SlotRefused:
        self.ref.deliver(WithdrawRequest(request_id=name))
        self._caller.deliver(WithdrawCall(name))
        return SlotRefused("the call was withdrawn", Refusal.WITHDRAWN, lane)

    def _options(
        self,
        call: object,
        lane: str,
        priority: str | int,
        owner: str | None,
        weight: int,
        *,
        blocks: bool,
        loop: Loop | None = None,
        costs: Mapping[str, int] | None = None,
        settle: Callable[[Any], Mapping[str, int]] | None = None,
        deadline: float | None = None,
        refuse_late: bool = False,
    ) -> CallOptions:
        self._check(lane)
        if not callable(call):
            raise SettingsInvalid(f"a call can be called, as {call!r:.80} cannot")
        if loop is None and iscoroutinefunction(call):
            raise SettingsInvalid(
                "a coroutine function cannot run on a thread; give it to limiter.run"
            )
        if settle is not None and not callable(settle):
            raise SettingsInvalid(
                f"settle: a function of what the call returns, not {settle!r:.80}"
            )
        budgets = self._budgets_of(lane)
        seconds = deadline_of(deadline)
        return CallOptions(
            lane,
            self._workers_of(lane) if blocks else loop,
            priority_of(priority),
            owner_of(owner),
            weight_of(weight),
            costs_of(costs, budgets),
            budgets,
            settle,
            None if seconds is None else self._system.clock.now + round(seconds * MICROSECONDS),
            bool(refuse_late),
        )

    def _budgets_of(self, lane: str) -> frozenset[str]:
        """Return the names of the budgets of a lane and of those upstream."""
        names: frozenset[str] = NO_BUDGETS
        upstream: str | None = lane
        while upstream is not None:
            settings = self._lanes.get(upstream) or self._groups.get(group_of(upstream))
            if settings is None:
                raise SettingsInvalid(f"lane {upstream!r} was dropped")
            if settings.budgets:
                names = names.union(settings.budgets)
            upstream = settings.behind
        return names

    def _deliver_call(self, message: ScheduleCall | AddToBatch | HoldSlot) -> None:
        """Deliver a call to its actor; fail its future if the actor has ended before."""
        self._caller.deliver(message)
        if not self._caller.is_alive():
            message.future.fail_if_pending(closed())


class Batches(Generic[Item, T]):
    """Gathers items for one call; made by `Limiter.collect`. Safe to use from any thread."""

    def __init__(
        self, add: Callable[[BatchOptions, Item], CallFuture[T]], options: BatchOptions
    ) -> None:
        self._add = add
        self._options = options

    def add(self, item: Item) -> CallFuture[T]:
        """Add an item; the future is of what the call of its batch returns for it.

        It can be cancelled until the call of its batch begins, which then goes without the item.

        Raises:
            StudioClosed: if the studio is closed.
        """
        return self._add(self._options, item)
