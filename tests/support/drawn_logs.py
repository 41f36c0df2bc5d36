"""Correct event logs, drawn: a tiny model of what a studio may say, in any order that it may."""

import random


class Run:
    """One run: each part is a generator, and the next to go on is drawn.

    Args:
        rng: draws.
        name: of the run.
        kind: anything may happen (""); or it is `plain`, with all of one kind in the lane `image`;
            or `chained`, where pictures are made in lane `host`, which stands behind that, and
            hosts' own calls in lanes of a group.
    """

    def __init__(self, rng, name, *, kind=""):
        self.rng, self.name, self.kind, self.plain = rng, name, kind, kind != ""
        self.events, self.t = [], rng.randrange(1_000)
        self.parts, self.granted, self.waiting = [], {}, []
        self.lanes, self.slots = {}, 0
        self.offers, self.offered, self.outer = {}, {}, {}
        self.say("studio_opened")
        lanes = ["image"] if self.plain else rng.sample(["image", "text"], rng.randint(1, 2))
        behind = "image" in lanes and (kind == "chained" or (not kind and rng.random() < 0.5))
        for lane in [*lanes, *(["host"] if behind else [])]:
            self.set_lane("lane_opened", lane)
        self.names = {"plain": ["image"], "chained": ["host"]}.get(kind, [*self.lanes, *GROUP])

    def say(self, event, *, wait=True, **fields):
        self.t += self.rng.choice([0, 1, 700, 30_000]) if wait else 0
        self.events.append({"t": self.t / 1_000_000, "event": event, **fields})
        return self.events[-1]

    def set_lane(self, event, lane):
        rng = self.rng
        most, least = (2, 0.05) if self.plain else (rng.choice([1, 2, 4, None]), rng.random() / 9)
        least = rng.choice([0, 0.000_001, round(least, 6)]) if not self.plain else least
        before = self.lanes.get(lane, {"out": {}, "last": -(10**12)})
        self.lanes[lane] = {**before, "most": most, "least": round(least * 1_000_000)}
        behind = "image" if lane == "host" else None
        rest = {"lease": 600.0, "circuit_seconds": 30.0, "behind": behind}
        self.say(event, lane=lane, max_concurrent=most, min_time=least, **rest)

    def further(self, request):
        """Return the lanes that a request needs: its own, and the one that this stands behind."""
        names = ["host", "image"] if request["lane"] == "host" else [request["lane"]]
        return [self.lanes[name] for name in names]

    def limiter(self):
        rng = self.rng
        while True:
            yield
            for request in self.waiting:
                if any(
                    lane["most"] is not None
                    and sum(lane["out"].values()) + request["weight"] > lane["most"]
                    for lane in self.further(request)
                ):
                    continue
                if request["lane"] == "host" and not self.offer(request):
                    break
                needed = self.further(request)
                self.t = max(self.t, *(lane["last"] + lane["least"] for lane in needed))
                self.waiting.remove(request)
                self.grant(request)
                break
            if not self.plain and rng.random() < 0.03:
                self.set_lane("lane_updated", rng.choice(list(self.lanes)))
            if rng.random() < (0.1 if self.plain else 0.05):
                self.rest(rng.choice(list(self.lanes)))
            if rng.random() < 0.3:
                self.drop_lanes()

    def offer(self, request):
        """Offer a request to the lane that its own stands behind, or withdraw the offer."""
        name = request["request_id"]
        if name not in self.offers:
            times = self.offered[name] = self.offered.get(name, 0) + 1
            offer = {**request, "lane": "image", "request_id": f"{name}~{times}"}
            self.offers[name] = offer
            self.say("slot_requested", **offer)
        elif self.rng.random() < 0.4:
            self.say("request_withdrawn", **self.offers.pop(name))
        else:
            return True
        return False

    def grant(self, request):
        offer = self.offers.pop(request["request_id"], None)
        further = None
        for number, one in enumerate([request] if offer is None else [offer, request]):
            self.slots += 1
            slot = f"{one['lane']}-{self.slots}"
            event = self.say("slot_granted", wait=not number, slot_id=slot, **one)
            lane = self.lanes[one["lane"]]
            lane["last"] = round(event["t"] * 1_000_000)
            lane["out"][slot] = request["weight"]
            if offer is not None and one is request:
                self.outer[slot] = further, offer
            further = slot
        self.granted[request["request_id"]] = slot

    def rest(self, lane):
        """Add one of the other events of a lane."""
        names = ["lane_resumed", "circuit_open", "circuit_half_open", "circuit_closed", "lane_idle"]
        name = self.rng.choice(["lane_paused", *names])
        seconds = {"seconds": self.rng.choice([None, 0.5])} if name == "lane_paused" else {}
        failures = {"failures": 3} if name.startswith("circuit") else {}
        self.say(name, lane=lane, **seconds, **failures)

    def drop_lanes(self):
        """Drop the lanes of the group that are idle and have nothing to remember."""
        for name in GROUP:
            lane = self.lanes.get(name)
            waits = any(request["lane"] == name for request in self.waiting)
            if lane is None or lane["out"] or waits:
                continue
            self.t = max(self.t, lane["last"] + lane["least"])
            self.say("lane_dropped", lane=name)
            del self.lanes[name]

    def end_request(self, event, request):
        """Drop or withdraw a request, and its offer with it."""
        self.waiting.remove(request)
        offer = self.offers.pop(request["request_id"], None)
        own = {"reason": "high water"} if event == "request_dropped" else {}
        if offer is not None:
            self.say("request_withdrawn", **offer)
        self.say(event, **own, **request)

    def end_slot(self, event, slot, request):
        further = self.outer.pop(slot, None)
        if event == "slot_revoked":
            of, whose = (slot, request) if further is None else further
            self.say("slot_asked_back", slot_id=of, wanted="another", **whose)
            if further is not None:
                event = "slot_released"
        del self.lanes[request["lane"]]["out"][slot]
        self.say(event, slot_id=slot, **request)
        if further is not None:
            slot, offer = further
            del self.lanes["image"]["out"][slot]
            self.say(event, wait=False, slot_id=slot, **offer)

    def request(self, task, number, *, names=None, requests=None, **whose):
        lane = self.rng.choice(names or self.names)
        if lane not in self.lanes:
            self.set_lane("lane_opened", lane)
        weight = 1 if self.plain else self.rng.choice([1, 1, 1, 2])
        request = {"lane": lane, "request_id": f"{task}-{number}", "task_id": task, **whose}
        if requests:
            request["requests"] = requests
        most = [lane["most"] or weight for lane in self.further(request)]
        request["weight"] = min(weight, *most)
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
                stuck = any(
                    lane["most"] is not None and request["weight"] > lane["most"]
                    for lane in self.further(request)
                )
                if (session["left"] or stuck) and request in self.waiting:
                    self.end_request("request_withdrawn", request)
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
        """Make a call, or a batch of them, past all sessions."""
        yield
        names, calls = GROUP if self.plain else None, self.rng.choice([None, ["a", "b"]])
        request = self.request(f"{self.name}-h{number}", 1, names=names, requests=calls)
        while request["request_id"] not in self.granted:
            yield
            if request in self.waiting and self.rng.random() < (0 if self.plain else 0.1):
                self.end_request("request_dropped", request)
                return
        slot = self.granted[request["request_id"]]
        request.pop("requests", None)
        if self.rng.random() < 0.5:
            self.say("generation_started", slot_id=slot)
        yield
        self.say("something_new", slot_id=7, session_id=None)
        self.end_slot("slot_released", slot, request)

    def play(self, *, killed):
        rng = self.rng
        limiter = self.limiter()
        next(limiter)
        self.parts += [self.session(n) for n in range(4 if self.plain else rng.randint(0, 5))]
        hosts = {"plain": 0, "chained": 6}.get(self.kind, rng.randint(0, 4))
        self.parts += [self.host(n) for n in range(hosts)]
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


GROUP = ["pool:a", "pool:b"]
"""Lanes of a group: each is opened as it is first needed, and dropped when it is idle."""

UNWRITTEN = ["skipped", "cancelled", "timed_out", "failed"]


def numbered(events):
    return [{"seq": seq, **event} for seq, event in enumerate(events, 1)]


def with_gap(rng, events):
    """Remove some events as a full disk does: some of them may have been written all the same."""
    first = rng.randrange(1, len(events))
    end = rng.randint(first + 1, len(events))
    lost = {"t": events[end - 1]["t"], "event": "events_lost", "first": first + 1, "last": end}
    whole = numbered([*events[:end], lost, *events[end:]])
    kept = rng.randint(0, end - first)
    return [*whole[: first + kept], *whole[end:]]


def drawn_log(seed, *, kind=""):
    rng = random.Random(seed)
    log = []
    for number in range(1 if kind else rng.randint(1, 3)):
        run = Run(rng, f"r{number}", kind=kind)
        events = run.play(killed=not kind and rng.random() < 0.3)
        lossy = not kind and len(events) > 2 and rng.random() < 0.3
        log += with_gap(rng, events) if lossy else numbered(events)
    return log
