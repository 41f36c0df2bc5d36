"""The bugs that `planted.py` plants: small edits, as they slip into any hand."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bug:
    """A slip of the hand.

    Args:
        name: what it is called.
        what: what goes wrong, in a sentence.
        file: where, from the checkout.
        old: what stands there, exactly once.
        new: what is put in its place.
    """

    name: str
    what: str
    file: str
    old: str
    new: str


BUGS = (
    # --- slots
    Bug(
        "release-left-out",
        "A slot is not given back when its call has ended.",
        "actors/session/processor.py",
        "        if work.grant is not None:\n            self.limiter.tell(\n",
        "        if False:\n            self.limiter.tell(\n",
    ),
    Bug(
        "release-left-out-after-timeout",
        "A slot is not given back when its call is abandoned after the grace.",
        "actors/session/processor.py",
        "task_id=work.task.id, attempt=message.attempt)\n"
        "        self.give_back(work, failed=True if work.timed_out else None)\n",
        "task_id=work.task.id, attempt=message.attempt)\n",
    ),
    Bug(
        "crossed-grant-kept",
        "A grant that crosses with the withdrawal of its request is not given back.",
        "actors/session/processor.py",
        "            self.limiter.tell(ReleaseSlot(slot_id=grant.slot_id))\n            return\n",
        "            return\n",
    ),
    Bug(
        "request-forgotten",
        "A cancelled task forgets its request instead of withdrawing it.",
        "actors/session/processor.py",
        "        if work.call is None:\n            self.give_back(work)\n        else:",
        "        if work.call is None:\n            work.request_id = None\n        else:",
    ),
    Bug(
        "grant-too-many",
        "The lane grants while it is full.",
        "messages/limiter/lane.py",
        "if self.out.weight + weight + kept > most:",
        "if self.out.weight > most:",
    ),
    Bug(
        "expiry-counted-twice",
        "The weight of an expired slot is taken back twice.",
        "messages/limiter/lane.py",
        "            self.release(slot.id)\n            over.append(slot)",
        "            self.release(slot.id)\n"
        "            self.out.weight -= slot.request.weight\n            over.append(slot)",
    ),
    Bug(
        "min-time-forgotten",
        "A lane whose settings change forgets when it granted last.",
        "messages/limiter/lane.py",
        "        self._put_in_force(settings)\n        self._room",
        "        self._put_in_force(settings)\n        self._last_grant = None\n        self._room",
    ),
    Bug(
        "session-gone-untold",
        "The limiter is not told that a session's actors have ended.",
        "actors/studio/root.py",
        "        self.limiter.tell(SessionGone(session_id=opening.session_id))\n",
        "",
    ),
    Bug(
        "lane-not-looked-at-again",
        "Nobody looks at a lane again once its `min_time` is over.",
        "messages/limiter/lane.py",
        "            times.append(due)\n",
        "            pass\n",
    ),
    Bug(
        "lane-timer-stands",
        "A lane that was looked at is thought to have its timer still.",
        "actors/limiter/limiter.py",
        "                self.timers.pop(message.lane, None)\n",
        "",
    ),
    Bug(
        "lease-without-end",
        "A lease that ends is not noticed until something else happens.",
        "messages/limiter/lane.py",
        "            times.append(slot.expires_at)\n",
        "            pass\n",
    ),
    Bug(
        "expiry-untold",
        "The holder of an expired slot is not told.",
        "actors/limiter/limiter.py",
        "            to.tell(SlotExpired(task_id=task_id, slot_id=slot.id))\n",
        "            pass\n",
    ),
    # --- lanes
    Bug(
        "owner-left-aside",
        "An owner that held all it may is not let back when it gives a slot back.",
        "messages/limiter/lane.py",
        "            self._room.let_back(owner)\n        if slot.revoked_for",
        "            pass\n        if slot.revoked_for",
    ),
    Bug(
        "slot-beyond-kept",
        "A slot is given back in its own lane alone, not in the one beyond.",
        "messages/limiter/lane_chain.py",
        "            link = self._outer.pop(slot_id, None)\n",
        "            link = None\n",
    ),
    Bug(
        "reservoir-never-filled",
        "Nobody looks at a lane again when its reservoir is filled.",
        "messages/limiter/lane.py",
        "                return reservoir.due\n",
        "                return None\n",
    ),
    Bug(
        "distance-forgotten-with-the-lane",
        "A lane of a group is dropped though its `min_time` is not over.",
        "messages/limiter/lane.py",
        "        return max(now, *(int(one) for one in remembered if one is not None))\n",
        "        return now\n",
    ),
    # --- tasks
    Bug(
        "late-picture-settles",
        "A picture that comes after its task was cancelled completes it.",
        "actors/session/processor.py",
        "        if task.state.final:\n            if error is None:\n"
        "                self.keep_late(returned.call, returned.value)\n"
        "        elif error is None:",
        "        if error is None:",
    ),
    Bug(
        "settled-twice",
        "A task that is cancelled twice settles twice.",
        "actors/session/processor.py",
        "        if work.task.state.final:\n            return\n        if work.call is None:\n",
        "        if work.call is None:\n",
    ),
    Bug(
        "kept-picture-used-twice",
        "A kept picture is used, and its task is generated all the same.",
        "actors/session/processor.py",
        "            self.complete(work, self.kept.pop(task.prompt_id), kept=True)\n"
        "            return\n",
        "            self.complete(work, self.kept.pop(task.prompt_id), kept=True)\n",
    ),
    Bug(
        "kept-pictures-awaited-in-vain",
        "A slot that came before the kept pictures were known is not used when they are.",
        "actors/session/processor.py",
        "                elif work.grant is not None:\n                    self.generate(work)\n",
        "",
    ),
    Bug(
        "retry-forgotten",
        "A task that failed is not tried again.",
        "actors/session/processor.py",
        "        work.timer = self.system.clock.after("
        "delay, self.actor_ref, RetryDue(task_id=task.id))\n",
        "",
    ),
    Bug(
        "grace-without-end",
        "A call that was cancelled is waited for without end.",
        "actors/session/processor.py",
        "        if not work.call.abandon():\n            return  # it came back just now",
        "        if not work.call.over:\n            return  # it came back just now",
    ),
    # --- timers
    Bug(
        "deadline-not-cancelled",
        "The timer of a session's deadline is left when the session ends.",
        "actors/session/session.py",
        "        for timer in (self.deadline, self.overdue):",
        "        for timer in (self.overdue,):",
    ),
    Bug(
        "call-timer-not-cancelled",
        "The timer of a call is left when the call has ended.",
        "actors/session/processor.py",
        "        if work.timer is not None:\n            work.timer.cancel()\n"
        "        if work.request_id is not None:",
        "        if work.request_id is not None:",
    ),
    # --- the write
    Bug(
        "write-before-the-last-settle",
        "The text is written once any of its tasks has settled.",
        "messages/session/tally.py",
        "self.sealed is not None and self.sealed <= self.settled.keys()",
        "self.sealed is not None and (not self.sealed or any(self.settled))",
    ),
    Bug(
        "second-write",
        "Whatever the writer hears after its write makes it write again.",
        "actors/session/writer.py",
        "if self.stage is Stage.GATHERING and self.tally.complete and self.loaded:",
        "if self.tally.complete and self.loaded:",
    ),
    Bug(
        "turn-not-taken-back",
        "The turn to write of a session that has ended without a write is not taken back.",
        "actors/studio/root.py",
        "        self.editor.tell(SessionGone(session_id=opening.session_id))\n",
        "",
    ),
    Bug(
        "timed-out-though-written",
        "A deadline that passes while the text is written ends the session as timed out.",
        "actors/session/writer.py",
        "        if self.stage is Stage.GATHERING:\n            self.skip(WriteSkipped("
        'reason="timed_out"',
        "        if self.stage is not Stage.OVER:\n            self.skip(WriteSkipped("
        'reason="timed_out"',
    ),
    Bug(
        "written-before-loaded",
        "The writer does not wait for what the store holds.",
        "actors/session/writer.py",
        "self.tally.complete and self.loaded:",
        "self.tally.complete:",
    ),
    Bug(
        "edit-overwritten",
        "On a conflict the text of the host's edit is overwritten.",
        "actors/session/writer.py",
        "            if stored is not None and not text.startswith(stored):\n"
        "                text = stored\n",
        "",
    ),
    Bug(
        "said-before-done",
        "The log says that a text is written before it is.",
        "actors/writes/compare_and_set.py",
        "        try:\n            new_version = store.write(",
        '        say("text_written", version=0, unplaced={}, '
        "placed=[one.task_id for one in composed.placed])\n"
        "        try:\n            new_version = store.write(",
    ),
    Bug(
        "unplaced-unsaid",
        "A picture whose prompt is no longer in the text is not spoken of.",
        "messages/text/mark_editor.py",
        "            else:\n                reason = self._refused",
        "            elif one.id is None:\n                reason = self._refused",
    ),
    # --- text
    Bug(
        "split-tag-lost",
        "A tag whose beginning is split over two chunks is not found.",
        "messages/text/scanner.py",
        '(?:{_begun(rest)}|\\\\Z)")',
        '(?:{_begun(rest)})")',
    ),
    Bug(
        "last-chunk-unread",
        "What lies in the stream before its end is not read.",
        "actors/session/monitor.py",
        '            self.read("".join(items[begin:index]))\n',
        "            if not isinstance(items[index], StreamEnded):\n"
        '                self.read("".join(items[begin:index]))\n',
    ),
    Bug(
        "half-character-lost",
        "Half of a character at the end of a chunk does not wait for its other half.",
        "actors/session/monitor.py",
        'self.held_back = delta[-1] if "\\ud800" <= delta[-1] <= "\\udbff" else ""',
        'self.held_back = ""',
    ),
    Bug(
        "sealed-twice",
        "An interrupt after the end seals once more.",
        "actors/session/monitor.py",
        "                self.processor.tell(LetGo(reason=reason))\n            return\n",
        "                self.processor.tell(LetGo(reason=reason))\n",
    ),
    # --- sessions and what they run on
    Bug(
        "session-ends-before-its-processor",
        "A session does not wait for its processor to end.",
        "actors/session/session.py",
        "        self.children = 3\n",
        "        self.children = 2\n",
    ),
    Bug(
        "waiting-session-forgotten",
        "Only the first of the sessions that wait for a message is begun.",
        "actors/studio/root.py",
        "                self.begin(first, live.waiting[index + 1 :])",
        "                self.begin(first, ())",
    ),
    Bug(
        "last-come-first-served",
        "A mailbox in which many messages lie gives the newest first.",
        "actors/system/mailbox.py",
        "            self._batch.reverse()\n",
        "",
    ),
    Bug(
        "number-skipped",
        "The recorder counts each event once more after a gap is ruled out.",
        "actors/recorder.py",
        "        self.write(event)\n\n    def write",
        "        self.seq += 1\n        self.write(event)\n\n    def write",
    ),
)
