"""Correct event logs, drawn: a tiny model of what a studio may say, in any order that it may."""

import random


class Run:
    """One run: each part is a generator, and the next to go on is drawn."""

    def __init__(self, rng, name, *, plain):
        self.rng, self.name, self.plain = rng, name, plain
        self.events, self.t = [], rng.randrange(1_000)
        self.parts, self.granted, self.waiting = [], {}, []
        self.lanes, self.slots = {}, 0
        self.say("studio_opened")
        for lane in ["image"] if plain else rng.sample(["image", "text"], rng.randint(1, 2)):
            self.set_lane("lane_opened", lane)

    def say(self, event, **fields):
        self.t += self.rng.choice([0, 1, 700, 30_000])
        self.events.append({"t": self.t / 1_000_000, "event": event, **fields})
        return self.events[-1]

    def set_lane(self, event, lane):
        rng = self.rng
        most, least = (2, 0.05) if self.plain else (rng.choice([1, 2, 4, None]), rng.random() / 9)
        least = rng.choice([0, 0.000_001, round(least, 6)]) if not self.plain else least
        before = self.lanes.get(lane, {"out": {}, "last": -(10**12)})
        self.lanes[lane] = {**before, "most": most, "least": round(least * 1_000_000)}
        self.say(event, lane=lane, max_concurrent=most, min_time=least, lease=600.0)

    def limiter(self):
        while True:
            yield
            for request in self.waiting:
                lane = self.lanes[request["lane"]]
                out = sum(lane["out"].values()) + request["weight"]
                if lane["most"] is not None and out > lane["most"]:
                    continue
                self.t = max(self.t, lane["last"] + lane["least"])
                self.waiting.remove(request)
                self.slots += 1
                slot = f"{request['lane']}-{self.slots}"
                event = self.say("slot_granted", slot_id=slot, **request)
                lane["last"] = round(event["t"] * 1_000_000)
                lane["out"][slot] = request["weight"]
                self.granted[request["request_id"]] = slot
                break
            if not self.plain and self.rng.random() < 0.03:
                self.set_lane("lane_updated", self.rng.choice(list(self.lanes)))

    def end_slot(self, event, slot, request):
        del self.lanes[request["lane"]]["out"][slot]
        self.say(event, slot_id=slot, **request)

    def request(self, task, number, **whose):
        lane = self.rng.choice(list(self.lanes))
        weight = 1 if self.plain else self.rng.choice([1, 1, 1, 2])
        most = self.lanes[lane]["most"]
        request = {"lane": lane, "request_id": f"{task}-{number}", "task_id": task, **whose}
        request["weight"] = min(weight, most or weight)
        self.say("slot_requested", **request)
        self.waiting.append(request)
        return request

    def task(self, session, task):
        rng, whose = self.rng, {"session_id": session["id"], "message_id": "m"}
        state, mine = "", {"task_id": task, **whose}
        for number in range(1, 4):
            yield
            request = self.request(task, number, **whose)
            while request["request_id"] not in self.granted:
                yield
                lane = self.lanes[request["lane"]]
                stuck = lane["most"] is not None and request["weight"] > lane["most"]
                if (session["left"] or stuck) and request in self.waiting:
                    self.waiting.remove(request)
                    self.say("request_withdrawn", **request)
                    state = "cancelled"
                    break
            if state:
                break
            slot = self.granted[request["request_id"]]
            yield
            if not self.plain and rng.random() < 0.1:
                self.end_slot("slot_expired", slot, request)
                continue
            self.say("generation_started", slot_id=slot, attempt=number, **mine)
            yield
            state = rng.choice(["completed"] * 4 + (["failed", "again"] if number < 3 else []))
            if self.plain and state != "again":
                state = "completed"
            if state == "completed":
                self.say("generation_completed", **mine)
            else:
                self.say("generation_failed", final=state == "failed", **mine)
            if session["left"]:
                state = "cancelled"
            # the slot goes back before or after it is told that the task has settled
            if rng.random() < 0.5:
                self.end_slot(rng.choice(["slot_released", "slot_revoked"]), slot, request)
            else:
                self.parts.append(self.later(self.end_slot, "slot_released", slot, request))
            if state != "again":
                break
            state = ""
            self.say("generation_retried", **mine)
        state = state or "failed"
        self.say("task_settled", state=state, reason=None, **mine)
        session["settled"][task] = state

    def later(self, do, *arguments):
        for _ in range(self.rng.randint(1, 9)):
            yield
        do(*arguments)

    def session(self, number):
        rng = self.rng
        session = {"id": f"{self.name}-s{number}", "left": False, "settled": {}}
        whose = {"session_id": session["id"], "message_id": "m"}
        yield
        self.say("session_opened", **whose)
        tasks = [f"{session['id']}t{n}" for n in range(3 if self.plain else rng.randint(0, 3))]
        for task in tasks:
            yield
            self.say("prompt_detected", prompt="a", task_id=task, **whose)
            self.parts.append(self.task(session, task))
        yield
        end = "written" if self.plain else rng.choice(["written"] * 4 + UNWRITTEN)
        if end != "failed" or rng.random() < 0.5:
            self.say("session_sealed", tasks=sorted(tasks), reason="complete", **whose)
        else:
            end = "died"
        yield
        session["left"] = end not in {"written", "failed"}
        while len(session["settled"]) < len(tasks):
            yield
        completed = [task for task, state in session["settled"].items() if state == "completed"]
        cut = 0 if self.plain else rng.randint(0, len(completed))
        write = {"placed": completed[cut:], "unplaced": dict.fromkeys(completed[:cut], "gone")}
        if end == "written":
            self.say("text_written", version=1, **write, **whose)
        yield
        self.say("session_ended", outcome="failed" if end == "died" else end, **whose)
        if end == "failed" and rng.random() < 0.5:  # the store was given up, but writes
            yield
            self.say("text_written", version=1, **write, **whose)

    def host(self, number):
        yield
        request = self.request(f"{self.name}-h{number}", 1)
        while request["request_id"] not in self.granted:
            yield
            if request in self.waiting and self.rng.random() < 0.1:
                self.waiting.remove(request)
                self.say("request_dropped", **request)
                return
        self.say("generation_started", slot_id=self.granted[request["request_id"]])
        yield
        self.say("something_new", slot_id=7, session_id=None)
        self.end_slot("slot_released", self.granted[request["request_id"]], request)
        self.say("task_settled", task_id=request["task_id"], state="completed")

    def play(self, *, killed):
        rng = self.rng
        limiter = self.limiter()
        next(limiter)
        self.parts += [self.session(n) for n in range(4 if self.plain else rng.randint(0, 5))]
        self.parts += [] if self.plain else [self.host(n) for n in range(rng.randint(0, 2))]
        left = rng.randint(1, 80) if killed else 10_000
        while self.parts and left:
            left -= 1
            if rng.random() < 0.3:
                next(limiter)
                continue
            part = rng.choice(self.parts)
            try:
                next(part)
            except StopIteration:
                self.parts.remove(part)
        assert left or killed
        if not killed:
            self.say("studio_closed", cause=None)
        return self.events


UNWRITTEN = ["skipped", "cancelled", "timed_out", "failed"]


def numbered(events):
    return [{"seq": seq, **event} for seq, event in enumerate(events, 1)]


def with_gap(rng, events):
    """Lose some events as a full disk does: a part of them may have been written all the same."""
    first = rng.randrange(1, len(events))
    end = rng.randint(first + 1, len(events))
    lost = {"t": events[end - 1]["t"], "event": "events_lost", "first": first + 1, "last": end}
    whole = numbered([*events[:end], lost, *events[end:]])
    kept = rng.randint(0, end - first)
    return [*whole[: first + kept], *whole[end:]]


def drawn_log(seed, *, plain=False):
    rng = random.Random(seed)
    log = []
    for number in range(1 if plain else rng.randint(1, 3)):
        run = Run(rng, f"r{number}", plain=plain)
        events = run.play(killed=not plain and rng.random() < 0.3)
        lossy = not plain and len(events) > 2 and rng.random() < 0.3
        log += with_gap(rng, events) if lossy else numbered(events)
    return log
