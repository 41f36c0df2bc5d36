"""The bugs that `planted.py` plants: small edits that anybody may make by mistake."""

from __future__ import annotations

from support.planting import Bug

BUGS = (
    # --- slots
    Bug(
        "release-left-out",
        "A slot is not given back when its call has ended.",
        "ProcessorActor.give_back",
        "if work.grant is not None:",
        "if False:",
    ),
    Bug(
        "release-left-out-after-timeout",
        "A slot is not given back when its call is abandoned after the grace.",
        "ProcessorActor.grace_ended",
        "self.give_back(work, failed=True if work.timed_out else None)",
        "pass",
    ),
    Bug(
        "crossed-grant-kept",
        "A grant that crosses with the withdrawal of its request is not given back.",
        "ProcessorActor.take_slot",
        "self.limiter.tell(ReleaseSlot(slot_id=grant.slot_id))",
        "pass",
    ),
    Bug(
        "request-forgotten",
        "A cancelled task forgets its request instead of withdrawing it.",
        "ProcessorActor.cancel",
        "self.give_back(work)",
        "work.request_id = None",
    ),
    Bug(
        "grant-too-many",
        "The lane grants while it is full.",
        "Lane._may_go_at",
        "self.leases.weight + weight + kept > most",
        "self.leases.weight > most",
    ),
    Bug(
        "expiry-counted-twice",
        "The weight of an expired slot is taken back twice.",
        "Lane.expired",
        "self.release(slot.id)",
        "self.release(slot.id)\nself.leases.weight -= slot.request.weight",
    ),
    Bug(
        "min-time-forgotten",
        "A lane whose settings change forgets when it granted last.",
        "Lane.update",
        "self._put_in_force(settings)",
        "self._put_in_force(settings)\nself._last_grant = None",
    ),
    Bug(
        "session-gone-untold",
        "The limiter is not told that a session's actors have ended.",
        "StudioActor.conclude",
        "self.limiter.tell(SessionGone(session_id=opening.session_id))",
        "pass",
    ),
    Bug(
        "lane-not-checked-again",
        "No lane is checked again once its `min_time` is over.",
        "Lane.next_check",
        "times.append(due)",
        "pass",
    ),
    Bug(
        "lane-timer-stands",
        "A lane that was checked is thought to have its timer still.",
        "LimiterActor.on_receive",
        "self.timers.pop(message.lane, None)",
        "pass",
    ),
    Bug(
        "lease-without-end",
        "A lease that ends is not noticed until something else happens.",
        "Lane.next_check",
        "times.append(slot.expires_at)",
        "pass",
    ),
    Bug(
        "expiry-untold",
        "The holder of an expired slot is not told.",
        "LimiterActor.tell_of",
        "to.tell(SlotExpired(task_id=task_id, slot_id=slot.id))",
        "pass",
    ),
    # --- lanes
    Bug(
        "owner-stays-blocked",
        "An owner at its limit stays blocked when it gives a slot back.",
        "Lane.release",
        "self._queue.unblock_owner(owner)",
        "pass",
    ),
    Bug(
        "upstream-slot-kept",
        "A slot is given back in its own lane alone, not in the lane upstream.",
        "LaneChain._end_slot",
        "self._parent.pop(slot_id, None)",
        "None",
    ),
    Bug(
        "reservoir-filled-unnoticed",
        "No lane is checked again when its reservoir is filled.",
        "Lane._may_go_at",
        "return reservoir.due",
        "return None",
    ),
    Bug(
        "min-time-forgotten-with-the-lane",
        "A lane of a group is dropped though its `min_time` is not over.",
        "Lane.forgettable_at",
        "max(now, *(int(one) for one in remembered if one is not None))",
        "now",
    ),
    # --- tasks
    Bug(
        "late-picture-settles",
        "A picture that comes after its task was cancelled completes it.",
        "ProcessorActor.call_returned",
        "if task.state.final:\n"
        "    if error is None:\n"
        "        self.keep_late(returned.call, returned.value)\n"
        "elif error is None:",
        "if error is None:",
    ),
    Bug(
        "settled-twice",
        "A task that is cancelled twice settles twice.",
        "ProcessorActor.cancel",
        "if work.task.state.final:\n    return",
        "pass",
    ),
    Bug(
        "kept-picture-used-twice",
        "A kept picture is used, and its task is generated all the same.",
        "ProcessorActor.begin",
        "self.complete(work, self.kept.pop(task.prompt_id), kept=True)\nreturn",
        "self.complete(work, self.kept.pop(task.prompt_id), kept=True)",
    ),
    Bug(
        "kept-pictures-awaited-in-vain",
        "A slot that came before the kept pictures were known is not used once they are known.",
        "ProcessorActor.use_kept",
        "self.generate(work)",
        "pass",
    ),
    Bug(
        "retry-forgotten",
        "A task that failed is not tried again.",
        "ProcessorActor.failed",
        "work.timer = self.system.clock.after(delay, self.actor_ref, RetryDue(task_id=task.id))",
        "pass",
    ),
    Bug(
        "grace-without-end",
        "A call that was cancelled is waited for without end.",
        "ProcessorActor.grace_ended",
        "if not work.call.abandon():",
        "if not work.call.over:",
    ),
    # --- timers
    Bug(
        "deadline-not-cancelled",
        "The timer of a session's deadline is left when the session ends.",
        "SessionActor.end",
        "for timer in (self.deadline, self.overdue):",
        "for timer in (self.overdue,):",
    ),
    Bug(
        "call-timer-not-cancelled",
        "The timer of a call is left when the call has ended.",
        "ProcessorActor.give_back",
        "work.timer.cancel()",
        "pass",
    ),
    # --- the write
    Bug(
        "write-before-the-last-settle",
        "The text is written once any of its tasks has settled.",
        "Tally.complete",
        "self.sealed <= self.settled.keys()",
        "(not self.sealed or any(self.settled))",
    ),
    Bug(
        "second-write",
        "Any message to the writer after its write makes it write again.",
        "WriterActor.on_receive",
        "if self.stage is Stage.GATHERING and self.tally.complete and self.loaded:",
        "if self.tally.complete and self.loaded:",
    ),
    Bug(
        "turn-not-taken-back",
        "The turn to write of a session that has ended without a write is not taken back.",
        "StudioActor.conclude",
        "self.editor.tell(SessionGone(session_id=opening.session_id))",
        "pass",
    ),
    Bug(
        "timed-out-though-written",
        "A deadline that passes while the text is written ends the session as timed out.",
        "WriterActor.give_up",
        "if self.stage is Stage.GATHERING:",
        "if self.stage is not Stage.OVER:",
    ),
    Bug(
        "written-before-loaded",
        "The writer does not wait for the text that the store holds.",
        "WriterActor.on_receive",
        "self.tally.complete and self.loaded",
        "self.tally.complete",
    ),
    Bug(
        "edit-overwritten",
        "On a conflict the text of the host's edit is overwritten.",
        "WriterActor.perform.compose_on",
        "text = stored",
        "pass",
    ),
    Bug(
        "write-logged-too-early",
        "The log says that a text is written before it is.",
        "write_text",
        "try:",
        'log_event("text_written", version=0, unplaced={}, '
        "placed=[placement.task_id for placement in composed.placed])\n"
        "try:",
    ),
    Bug(
        "unplaced-not-reported",
        "A picture whose prompt is no longer in the text is not reported.",
        "MarkEditor.composed",
        "unplaced.append(Unplaced(placement=one, reason=reason))",
        "pass",
    ),
    # --- text
    Bug(
        "split-tag-lost",
        "A tag whose beginning is split over two chunks is not found.",
        "_begun",
        'f"(?:{_begun(rest)}|\\\\Z)"',
        'f"(?:{_begun(rest)})"',
    ),
    Bug(
        "last-chunk-unread",
        "The chunks just before the end of the stream are not read.",
        "MonitorActor.take",
        'self.read("".join(items[begin:index]))',
        'if not isinstance(items[index], StreamEnded):\n    self.read("".join(items[begin:index]))',
    ),
    Bug(
        "half-character-lost",
        "Half of a character at the end of a chunk does not wait for its other half.",
        "MonitorActor.read",
        'self.held_back = delta[-1] if "\\ud800" <= delta[-1] <= "\\udbff" else ""',
        'self.held_back = ""',
    ),
    Bug(
        "sealed-twice",
        "An interrupt after the end seals once more.",
        "MonitorActor.seal",
        'if reason == "interrupted":\n    self.processor.tell(CancelTasks(reason=reason))\nreturn',
        'if reason == "interrupted":\n    self.processor.tell(CancelTasks(reason=reason))',
    ),
    # --- sessions and what they run on
    Bug(
        "session-ends-before-its-processor",
        "A session does not wait for its processor to end.",
        "SessionActor.__init__",
        "self.children = 3",
        "self.children = 2",
    ),
    Bug(
        "waiting-session-forgotten",
        "Of the sessions that wait for a message only the first is started.",
        "StudioActor.begin_next",
        "live.waiting[index + 1 :]",
        "()",
    ),
    Bug(
        "last-come-first-served",
        "A mailbox with many messages returns the newest first.",
        "Mailbox.get",
        "self._batch.reverse()",
        "pass",
    ),
    Bug(
        "number-skipped",
        "The recorder counts each event once more after a gap is ruled out.",
        "RecorderActor.record",
        "self.write(event)",
        "self.seq += 1\nself.write(event)",
    ),
)
