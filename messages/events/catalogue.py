"""Every event that Limner sends: its name, what it means, who sends it, and its fields.

To add an event, declare it here, in its conversation. The tests check whatever is sent against
these declarations, and `limner events` prints them. Names and fields that exist are never changed.
"""

from __future__ import annotations

from typing import Any

from limner.messages.events.event_type import Conversation, EventType, Field
from limner.messages.events.record import Record
from limner.messages.limiter.settings import LaneSettings
from limner.messages.picture_requests import Place
from limner.messages.registry import Version
from limner.messages.session.lifecycle import SessionOutcome
from limner.messages.session.streaming import SealReason
from limner.messages.writes.protocol import EditKind, WaitsFor

ON_EVERY_LINE = (
    Field("seq", int, "Number of the line in its run, from 1; it orders the log."),
    Field("t", float, "When it happened, by the system's clock.", unit="seconds"),
    Field("at", str, "When it happened, as date and time of day (ISO 8601, UTC)."),
    Field("actor", str, "Role of the actor that sent it."),
    Field("event", str, "Name of the event."),
)
"""The fields that each line of a log has. The sender stamps the times, the recorder numbers."""

SESSION_ID = Field("session_id", str, "The session.")
MESSAGE_ID = Field("message_id", str, "The message, by the host's name for it.")
TASK_ID = Field("task_id", str, "The task: one request for one picture, or a call of a host.")

OF_SESSION = (SESSION_ID, MESSAGE_ID)
OF_TASK = (*OF_SESSION, TASK_ID)
OF_SESSION_OR_HOST = (SESSION_ID.optional, MESSAGE_ID.optional)
"""A host's own calls have no session."""

ATTEMPT = Field("attempt", int, "Which call of the generator for this task it is, from 1.")
PICTURE_ID = Field("picture_id", str, "The picture, by a hash of its bytes.")
PICTURE = (
    Field("url", str, "How a text refers to the picture.", always=False),
    Field("media_type", str, "What it is, such as `image/png`.", always=False),
    Field("path", str, "Its file, if the store keeps it in one.", always=False),
)
PROMPT = (
    Field("prompt_id", str, "The prompt."),
    Field("prompt", str, "Text of the prompt."),
)
LANE = Field("lane", str, "The lane.")
SLOT_ID = Field("slot_id", str, "The slot.")
REQUEST = (
    *OF_SESSION_OR_HOST,
    TASK_ID,
    LANE,
    Field("request_id", str, "The request."),
    Field("stands_for", str, "Of an offer upstream: the request that is offered.", always=False),
    Field("weight", int, "How much of the lane's limits it takes."),
)
OVERLOADED = Field(
    "overloaded",
    bool,
    "True if the call was too much for the back end, and the lane's limit adapts.",
    always=False,
)
BATCH = Field("requests", list[str], "Names of the calls in a batch.", always=False)
COSTS = Field("costs", dict[str, int], "What the call takes of the lane's budgets, by name.")
SINCE_0_2 = frozenset(["circuit_patience", "backs_off", "budgets"])
"""Settings of lanes that logs of version 0.1 have not; `budgets` is left out if there are none."""
LANE_TYPES: dict[str, Any] = {
    "budgets": dict[str, dict[str, str | int | float | None]],
    "max_concurrent": int | None,
}
"""The types of settings that the log has otherwise."""

LANE_SETTINGS = tuple(
    Field(
        name,
        LANE_TYPES.get(name, setting.annotation),
        "The lane's setting of that name.",
        unit="seconds" if "float" in str(LANE_TYPES.get(name, setting.annotation)) else None,
        always=name not in SINCE_0_2,
    )
    for name, setting in LaneSettings.model_fields.items()
)
"""`limner settings` says what each means."""
ADAPTIVE = Field(
    "adaptive",
    dict[str, int],
    "Bounds of a limit that adapts; `max_concurrent` is then the limit in force.",
    always=False,
)
FAILURES_IN_A_ROW = Field("failures", int, "How many calls in the lane have failed in a row.")
EDIT = (
    MESSAGE_ID,
    Field("edit_id", str, "The edit."),
    Field("kind", EditKind, "What kind of edit it is."),
)
EDITED = (
    Field("placed", list[str], "Placements of pictures that it put into the text."),
    Field("removed", list[str], "Placements of pictures that it took out of the text."),
    Field("unplaced", dict[str, str], "Why a picture could not be placed, by its placement."),
)

STUDIO = Conversation(
    "The studio and its actors",
    (
        EventType(
            "studio_opened",
            "A studio opens; this begins a run in the log.",
            ("studio",),
            (
                Field("store", str, "Class of the store."),
                Field("generator", str, "Class of the generator."),
            ),
        ),
        EventType(
            "studio_closed",
            "The studio has closed, and nothing of it is at work any more.",
            ("studio",),
            (Field("cause", str | None, "The failure that closed it; null if the host did."),),
        ),
        EventType(
            "settings_updated",
            "Settings have other values, for what is asked for from now on.",
            ("studio",),
            (
                Field("changed", list[str], "Names of the settings that changed."),
                Field(
                    "values",
                    dict[str, float | bool | str | None],
                    "The new values of those that are numbers or one of a few words.",
                    unit="that of the setting",
                ),
            ),
        ),
        EventType(
            "call_refused",
            "A host's call was refused at once, and nothing has come of it.",
            ("studio",),
            (
                MESSAGE_ID.optional,
                Field("call", str, "Name of the call."),
                Field("error", str, "Class of the error that it raised."),
                Field("reason", str, "The error."),
            ),
        ),
        EventType(
            "actor_failed",
            "An actor has failed and is stopped.",
            (),
            (
                *OF_SESSION_OR_HOST,
                Field("failed", str, "Class of the actor."),
                Field("reason", str, "The error."),
            ),
        ),
        EventType(
            "dead_letter",
            "A message came to an actor that had stopped already.",
            ("system",),
            (
                Field("receiver", str, "Class of the actor."),
                Field("message", str, "Class of the message."),
            ),
        ),
        EventType(
            "events_lost",
            "Events are missing, since the disk was full or a subscriber too slow.",
            ("recorder",),
            (
                Field("first", int, "Number of the first missing event."),
                Field("last", int, "Number of the last missing event."),
                Field("number", int, "How many a subscriber has missed.", always=False),
            ),
        ),
    ),
)

SESSIONS = Conversation(
    "A message's session",
    (
        EventType(
            "session_opened",
            "A session of a message begins.",
            ("studio",),
            (
                *OF_SESSION,
                Field("owner", str | None, "For whom it is; null for nobody."),
                Field("priority", int, "Priority of its requests, from 0 (first) to 9."),
                Field("kind", str, "`stream`, or `regeneration` of a stored message."),
                Field(
                    "max_per_message",
                    int,
                    "Pictures of it in generation at one time at most; left out without limit.",
                    always=False,
                ),
            ),
        ),
        EventType(
            "session_prioritised",
            "The session has another priority from now on, and so has what it waits for.",
            ("studio",),
            (*OF_SESSION, Field("priority", int, "From 0 (first) to 9.")),
        ),
        EventType(
            "cancel_all_requested",
            "A call cancels all sessions and requests of an owner, or of everybody.",
            ("studio",),
            (
                Field("owner", str | None, "Whose; null for everybody's."),
                Field("cancellation", int, "Which call of that kind it is, from 1."),
            ),
        ),
        EventType(
            "cancel_all_done",
            "All that such a call was for has ended.",
            ("studio",),
            (
                Field("owner", str | None, "Whose; null for everybody's."),
                Field("cancellation", int, "Which call of that kind it was, from 1."),
                Field("cancelled", int, "How many streams and requests were cancelled."),
            ),
        ),
        EventType(
            "session_sealed",
            "The session's totals are known: no other task will be added to it.",
            ("monitor", "session"),
            (
                *OF_SESSION,
                Field("reason", SealReason, "Why no more text or requests come."),
                Field("tasks", list[str], "All tasks that must settle before the write."),
            ),
        ),
        EventType(
            "session_ended",
            "The session is over; it is the last event of it, but for late results.",
            ("studio",),
            (
                *OF_SESSION,
                Field("outcome", SessionOutcome, "How it ended."),
                Field("reason", str | None, "The error, if there was one."),
            ),
        ),
    ),
)

TASKS = Conversation(
    "A task: one picture for one prompt",
    (
        EventType(
            "prompt_detected",
            "A prompt's tag is complete in the streamed text, and a task for it begins.",
            ("monitor",),
            (*OF_TASK, *PROMPT),
        ),
        EventType(
            "prompt_withdrawn",
            "The streamed text was replaced and no longer holds the prompt.",
            ("monitor",),
            OF_TASK,
        ),
        EventType(
            "pattern_dropped",
            "A pattern took too long on the text, and is not used for it any more.",
            ("monitor",),
            (*OF_SESSION, Field("pattern", str, "The regular expression.")),
        ),
        EventType(
            "near_misses_found",
            "Places of the finished text look like prompt tags and are none; the first 20.",
            ("monitor", "session"),
            (
                *OF_SESSION,
                Field("starts", list[int], "Where each begins.", unit="characters"),
                Field("kinds", list[str], "In what each differs from a tag, separated by spaces."),
            ),
        ),
        EventType(
            "picture_wanted",
            "A regeneration asks for one more picture, and a task for it begins.",
            ("session",),
            (
                *OF_TASK,
                *PROMPT,
                Field("place", Place, "Where the picture goes."),
                Field("target", str, "The placement, failure or prompt that the place refers to."),
                Field("owner", str, "For whom it is.", always=False),
            ),
        ),
        EventType(
            "regeneration_refused",
            "A regeneration cannot be done, for instance since its picture is not there.",
            ("session",),
            (*OF_SESSION, Field("reason", str, "Why not.")),
        ),
        EventType(
            "regeneration_cancelled",
            "A regeneration was cancelled before its session took it.",
            ("studio",),
            (MESSAGE_ID, Field("reason", str, "Why it was cancelled.")),
        ),
        EventType(
            "request_taken_back",
            "A request of a regeneration is not wanted any more; the others are.",
            ("session",),
            (*OF_SESSION, Field("tasks", list[str], "The tasks that it had so far.")),
        ),
        EventType(
            "generation_started",
            "A call of the generator begins.",
            ("processor",),
            (*OF_TASK, SLOT_ID, ATTEMPT, Field("seed", int, "Seed of the picture.")),
        ),
        EventType(
            "generation_completed",
            "A call of the generator has made a picture, which is kept.",
            ("processor",),
            (
                *OF_TASK,
                PICTURE_ID,
                ATTEMPT,
                *PICTURE,
                PROMPT[1].optional,
                Field("finished", int, "Tasks of the session with their picture.", always=False),
                Field("failed", int, "Tasks of the session that have failed.", always=False),
                Field(
                    "total",
                    int,
                    "Tasks of the session so far, without what was withdrawn.",
                    always=False,
                ),
            ),
        ),
        EventType(
            "generation_failed",
            "A call of the generator has failed, timed out or lost its slot.",
            ("processor",),
            (
                *OF_TASK,
                Field("reason", str, "The error."),
                ATTEMPT,
                Field("final", bool, "Whether the task fails with it, and is not tried again."),
            ),
        ),
        EventType(
            "generation_retried",
            "A task pauses after a failed call, and then requests a slot again.",
            ("processor",),
            (*OF_TASK, Field("delay", float, "How long it pauses.", unit="seconds")),
        ),
        EventType(
            "keep_failed",
            "A picture is made, and the store has not kept it; its bytes are held, and keeping is "
            "tried again.",
            ("processor",),
            (
                *OF_TASK,
                PICTURE_ID,
                Field("reason", str, "The error of the store."),
                Field("tries", int, "How many tries to keep it have failed."),
                Field(
                    "delay",
                    float | None,
                    "How long until the next try; null if it is given up.",
                    unit="seconds",
                ),
            ),
        ),
        EventType(
            "call_abandoned",
            "A call did not come back in time; nobody waits for it any more.",
            ("processor", "caller"),
            (*OF_SESSION_OR_HOST, TASK_ID, ATTEMPT.optional),
        ),
        EventType(
            "call_failed",
            "A host's own call has failed.",
            ("caller",),
            (
                TASK_ID,
                LANE,
                Field("attempt", int, "Which call of it that was, from 1."),
                Field("reason", str, "What it raised, or the back end answered."),
                Field("final", bool, "Whether it is not made again."),
            ),
        ),
        EventType(
            "call_retried",
            "A host's own call requests a slot again after a while.",
            ("caller",),
            (TASK_ID, Field("delay", float, "How long that is.", unit="seconds")),
        ),
        EventType(
            "settle_failed",
            "A host's `settle` has not told what its call has cost; the estimate stays.",
            ("caller",),
            (TASK_ID, Field("error", str, "Why.")),
        ),
        EventType(
            "generation_late",
            "A call that nobody waited for has made a picture, which is kept.",
            ("processor",),
            (*OF_TASK, PICTURE_ID, *PICTURE),
        ),
        EventType(
            "generation_discarded",
            "A call that nobody waited for has made a picture of a message that was forgotten "
            "meanwhile; it is not kept.",
            ("processor",),
            (*OF_TASK, PICTURE_ID),
        ),
        EventType(
            "task_settled",
            "The task has its final state.",
            ("processor",),
            (
                *OF_TASK,
                Field("state", str, "`completed`, `failed` or `cancelled`."),
                Field("reason", str | None, "Why there is no picture; null if there is one."),
                Field(
                    "kept",
                    bool,
                    "True if the picture was kept by an earlier session.",
                    always=False,
                ),
                Field(
                    "picture_id",
                    str,
                    "Which picture that is, as no generation of this session names it.",
                    always=False,
                ),
            ),
        ),
    ),
)

REQUESTS = Conversation(
    "A request and its slot",
    (
        EventType(
            "slot_requested",
            "A request for a slot waits in a lane.",
            ("limiter",),
            (
                *REQUEST,
                Field("priority", int, "From 0 (first) to 9."),
                Field("owner", str, "For whom it is.", always=False),
                Field(
                    "deadline",
                    float,
                    "When it is dropped if it waits still, by the system's clock.",
                    unit="seconds",
                    always=False,
                ),
                BATCH,
            ),
        ),
        EventType(
            "request_prioritised",
            "The waiting request has another priority from now on.",
            ("limiter",),
            (*REQUEST, Field("priority", int, "From 0 (first) to 9.")),
        ),
        EventType(
            "slot_granted",
            "The request gets a slot of the lane.",
            ("limiter",),
            (*REQUEST, SLOT_ID, BATCH, COSTS.optional),
        ),
        EventType(
            "costs_settled",
            "The call has cost this of the lane's budgets, not what was taken at its grant.",
            ("limiter",),
            (*REQUEST, SLOT_ID, COSTS),
        ),
        EventType(
            "request_dropped",
            "The limiter drops the request.",
            ("limiter",),
            (*REQUEST, Field("reason", str, "Why, for instance `high water`.")),
        ),
        EventType(
            "request_withdrawn",
            "The requester takes the request back.",
            ("limiter",),
            REQUEST,
        ),
        EventType(
            "slot_asked_back",
            "The slot's holder is asked to release it, for a request that preempts it.",
            ("limiter",),
            (*REQUEST, SLOT_ID, Field("wanted", str, "The request that it is for.")),
        ),
        EventType(
            "slot_released",
            "The holder has released the slot.",
            ("limiter",),
            (*REQUEST, SLOT_ID, OVERLOADED),
        ),
        EventType(
            "slot_revoked",
            "The holder has released the slot because it was asked to.",
            ("limiter",),
            (*REQUEST, SLOT_ID, OVERLOADED),
        ),
        EventType(
            "slot_expired",
            "The slot was not released within its lease or grace, and is taken back.",
            ("limiter",),
            (*REQUEST, SLOT_ID, OVERLOADED),
        ),
    ),
)

LANES = Conversation(
    "A lane",
    (
        EventType(
            "lane_opened",
            "A lane is there, with these settings.",
            ("limiter",),
            (LANE, *LANE_SETTINGS, ADAPTIVE),
        ),
        EventType(
            "lane_updated",
            "These settings of a lane are in force from now on.",
            ("limiter",),
            (
                LANE,
                *LANE_SETTINGS,
                ADAPTIVE,
                Field("refilled", bool, "True if the reservoir was set anew.", always=False),
            ),
        ),
        EventType(
            "reservoir_changed",
            "A host has added to what is left of a reservoir, or taken from it.",
            ("limiter",),
            (
                LANE,
                Field("by", int, "The weight that was added; negative if it was taken."),
                Field("left", int, "What is left, 0 at least."),
            ),
        ),
        EventType(
            "limit_changed",
            "An adaptive limit has moved, by the end of the call before.",
            ("limiter",),
            (
                LANE,
                Field("max_concurrent", int, "The limit that is in force from now on."),
                Field("before", int, "The limit before."),
            ),
        ),
        EventType(
            "lane_paused",
            "The lane grants nothing for a while.",
            ("limiter",),
            (
                LANE,
                Field(
                    "seconds", float | None, "How long; null until it is resumed.", unit="seconds"
                ),
                Field("reason", str, "Why, if it was not the host that asked.", always=False),
            ),
        ),
        EventType(
            "budget_corrected",
            "The lane's back end says that less is left of a budget, and that holds for a while.",
            ("limiter",),
            (
                LANE,
                Field("budget", str, "Its name."),
                Field("remaining", int, "How much is left."),
                Field("owner", str, "Whose it is, if each owner has its own.", always=False),
                Field("until", float, "Until when, by the system's clock.", unit="seconds"),
            ),
        ),
        EventType(
            "lane_resumed",
            "The lane grants again after a pause, or takes requests again after its end.",
            ("limiter",),
            (LANE,),
        ),
        EventType(
            "circuit_open",
            "The lane's back end fails again and again, so the lane grants nothing for a while.",
            ("limiter",),
            (LANE, FAILURES_IN_A_ROW, Field("error", str, "The last failure.", always=False)),
        ),
        EventType(
            "circuit_half_open",
            "The lane lets one call go, to find out whether its back end still fails.",
            ("limiter",),
            (LANE, FAILURES_IN_A_ROW),
        ),
        EventType(
            "circuit_closed",
            "The lane's back end works again, and the lane grants as usual.",
            ("limiter",),
            (LANE, FAILURES_IN_A_ROW),
        ),
        EventType(
            "lane_idle",
            "Nothing waits in the lane and no slot of it is out.",
            ("limiter",),
            (LANE,),
        ),
        EventType(
            "lane_ending",
            "The lane takes no more requests.",
            ("limiter",),
            (
                LANE,
                Field(
                    "how", str, "`draining` if waiting requests are still granted, else `stopped`."
                ),
            ),
        ),
        EventType(
            "lane_drained",
            "The lane that was ending has nothing left.",
            ("limiter",),
            (LANE,),
        ),
        EventType(
            "lane_dropped",
            "A lane was idle and is not kept: one of a group, or one that its host has dropped.",
            ("limiter",),
            (LANE, Field("by", str, "`host`, if its host has dropped it.").optional),
        ),
    ),
)

WRITES = Conversation(
    "Writes and edits of a text",
    (
        EventType(
            "text_written",
            "A session has written its text.",
            ("writer",),
            (
                *OF_SESSION,
                Field("version", Version, "Version of the text that the store gave."),
                Field("placed", list[str], "Tasks whose pictures stand in the text."),
                Field("unplaced", dict[str, str], "Why a picture does not, by its task."),
                Field("removed", list[str], "Placements of pictures that it took out of the text."),
                Field(
                    "failures",
                    list[str],
                    "Failures whose marks stand in the text, by their ids.",
                    always=False,
                ),
            ),
        ),
        EventType(
            "write_skipped",
            "A session ends without having written its text.",
            ("writer",),
            (
                *OF_SESSION,
                Field("reason", str, "`cancelled`, `empty`, `gone`, `timed_out` or `unchanged`."),
                Field("awaited", list[str], "Tasks that had not settled.", always=False),
            ),
        ),
        EventType(
            "write_conflicted",
            "Somebody else has written the text meanwhile; it is read and composed again.",
            ("writer", "editor"),
            (*OF_SESSION_OR_HOST, Field("reason", str, "What the store said.")),
        ),
        EventType(
            "text_edited",
            "An edit has changed the text.",
            ("editor",),
            (
                *EDIT,
                Field("version", Version, "Version of the text that the store gave."),
                *EDITED,
                Field("late", bool, "True if nobody waited for it any more.", always=False),
            ),
        ),
        EventType(
            "edit_unneeded",
            "An edit has left the text as it was.",
            ("editor",),
            (*EDIT, *EDITED),
        ),
        EventType(
            "edit_waits",
            "An edit was asked for, and begins once what it waits for is over.",
            ("editor",),
            (
                *EDIT,
                Field("waits_for", WaitsFor, "What it waits for."),
                Field(
                    "timeout",
                    float | None,
                    "How long it may wait; without bound if null.",
                    unit="seconds",
                ),
            ),
        ),
        EventType(
            "edit_failed",
            "An edit has failed, and the text is as it was.",
            ("editor",),
            (*EDIT, Field("reason", str, "The error.")),
        ),
        EventType(
            "edit_cleared",
            "An edit was cancelled before it began.",
            ("editor",),
            EDIT,
        ),
        EventType(
            "message_forgotten",
            "All that was known of a message is forgotten; its text stays.",
            ("editor",),
            (
                MESSAGE_ID,
                Field("prompts", int, "How many prompts were forgotten."),
                Field("pictures", list[str], "The pictures that were deleted with it."),
            ),
        ),
        EventType(
            "writes_held",
            "The host holds the writes of a message back.",
            ("editor",),
            (MESSAGE_ID,),
        ),
        EventType(
            "writes_released",
            "Writes of the message go on.",
            ("editor",),
            (MESSAGE_ID,),
        ),
    ),
)

CONVERSATIONS = (STUDIO, SESSIONS, TASKS, REQUESTS, LANES, WRITES)

EVENTS = {event.name: event for group in CONVERSATIONS for event in group.events}
"""All events by name."""


def mismatches(record: Record) -> list[str]:
    """Return what does not fit the catalogue in a line of an event log, a line each.

    Args:
        record: the whole line.
    """
    name = record.get("event")
    event = EVENTS.get(name) if isinstance(name, str) else None
    if event is None:
        return [f"there is no event {name!r:.80} in the catalogue"]
    fields = dict(record)
    found = []
    for common in ON_EVERY_LINE:
        value = fields.pop(common.name, None)
        if not common.fits(value):
            found.append(f"{name}: {common.name!r} is no {common.type_name}: {value!r:.80}")
    return found + event.mismatches(str(record.get("actor")), fields)
