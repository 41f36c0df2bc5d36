"""The invariants of the event log, checked on a list of events in the plainest way."""

from collections import Counter, defaultdict

SLOT_ENDS = {"slot_released", "slot_revoked", "slot_expired"}


def violations(events, *, closed=True):
    """Return a line for each violation of I1 to I8 and I13."""
    found = []
    by_session = defaultdict(list)
    for event in events:
        if "session_id" in event:
            by_session[event["session_id"]].append(event)

    for session, own in by_session.items():
        names = Counter(event["event"] for event in own)
        if names["session_ended"] != 1 and closed:
            found.append(f"I1 {session}: {names['session_ended']} session_ended")
        if names["text_written"] > 1:
            found.append(f"I1 {session}: {names['text_written']} text_written")
        settled = {}
        made = set()
        sealed = None
        for event in own:
            match event["event"]:
                case "generation_completed" | "keep_failed":
                    made.add(event["task_id"])
                case "generation_started" if event["task_id"] in made:
                    found.append(f"I13 {session}: {event['task_id']} is generated again")
                case "session_sealed":
                    sealed = set(event["tasks"])
                case "task_settled":
                    if event["task_id"] in settled:
                        found.append(f"I2 {session}: {event['task_id']} settled twice")
                    settled[event["task_id"]] = event["state"]
                case "text_written":
                    if sealed is None or not sealed <= settled.keys():
                        found.append(f"I2 {session}: written before all was settled")
        for event in own:
            if event["event"] == "text_written":
                said = sorted([*event["placed"], *event["unplaced"]])
                completed = sorted(task for task, state in settled.items() if state == "completed")
                if said != completed:
                    found.append(f"I6 {session}: {said} placed or not, {completed} completed")

    lanes, last, out, open_requests = {}, {}, defaultdict(dict), set()
    for event in events:
        lane = event.get("lane")
        match event["event"]:
            case "lane_opened" | "lane_updated":
                lanes[lane] = event
            case "lane_dropped" if event.get("by") == "host":
                last.pop(lane, None)
            case "limit_changed":
                assert event["before"] == lanes[lane]["max_concurrent"]
                lanes[lane] = {**lanes[lane], "max_concurrent": event["max_concurrent"]}
            case "slot_requested":
                if event["request_id"] in open_requests:
                    found.append(f"I5 {event['request_id']} requested twice")
                open_requests.add(event["request_id"])
            case "slot_granted" | "request_dropped" | "request_withdrawn":
                if event["request_id"] not in open_requests:
                    found.append(f"I5 {event['request_id']}: {event['event']} but not open")
                open_requests.discard(event["request_id"])
                if event["event"] == "slot_granted":
                    out[lane][event["slot_id"]] = event["weight"]
                    most = lanes[lane]["max_concurrent"]
                    if most is not None and sum(out[lane].values()) > most:
                        found.append(f"I3 seq {event['seq']}: {sum(out[lane].values())} out")
                    micros = round(event["t"] * 1_000_000)
                    gap = round(lanes[lane]["min_time"] * 1_000_000)
                    if lane in last and micros - last[lane] < gap:
                        found.append(f"I4 seq {event['seq']}: {micros - last[lane]} us")
                    last[lane] = micros
            case name if name in SLOT_ENDS:
                if out[lane].pop(event["slot_id"], None) is None:
                    found.append(f"I5 slot {event['slot_id']} ended twice or never out")
            case "generation_started":
                if not any(event["slot_id"] in slots for slots in out.values()):
                    found.append(f"I7 seq {event['seq']}: {event['slot_id']} is not out")
    if closed:
        found += [f"I5 {request} is open at the end" for request in sorted(open_requests)]
        found += [f"I5 slot {slot} is out at the end" for slots in out.values() for slot in slots]

    seen = [event["seq"] for event in events]
    if seen != list(range(1, len(seen) + 1)):
        found.append("I8 seq has a gap or a repeat")
    return found
