"""A page shows what the log says, in a real browser, and nothing in the log becomes markup."""

import contextlib
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser

import orjson
import pytest
from PIL import Image, ImageStat

from limner.actors import Settings, Studio
from limner.actors.generators import Instant
from limner.actors.stores import MemoryStore
from limner.messages.errors import GenerationFailed
from limner.messages.events.span_types import Level
from limner.messages.events.spans import Spans
from limner.scripts.inspect import page
from limner.scripts.inspect.page import Digest, Durations, Use, write_page
from limner.scripts.inspect.reading import LogReader

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MARKUP = '</script><img src=x onerror="document.title=`owned`"><!--<script>'
HOSTILE = [
    MARKUP,
    "\u202eolleh\u2066",
    "{{data}}{{script}}",
    "a\u2028b\u2029c",
    "__proto__",
    "&lt;b&gt;",
]


class Fails(Instant):
    """A generator that fails as its prompt says."""

    def generate(self, task, cancelled):
        if "broken" in task.prompt:
            raise GenerationFailed(f"no: {MARKUP}", retryable=False)
        return super().generate(task, cancelled)


def one_message(number, name=None, prompt="a gull", outcome="written", start=None, wait=0.1):
    """Return the events of one message."""
    who = {"session_id": f"s{number}", "message_id": name or f"m{number}"}
    task = {**who, "task_id": f"t{number}"}
    slot = {**task, "lane": "image", "request_id": f"r{number}", "weight": 1}
    state, how = ("completed",) * 2 if outcome == "written" else ("failed",) * 2
    events = [
        (0, {"event": "session_opened", **who, "owner": name}),
        (0.1, {"event": "prompt_detected", **task, "prompt": prompt}),
        (0.2, {"event": "slot_requested", **slot}),
        (0.2 + wait, {"event": "slot_granted", **slot, "slot_id": f"l{number}"}),
        (0.3 + wait, {"event": "generation_started", **task, "slot_id": f"l{number}"}),
        (0.5 + wait, {"event": f"generation_{how}", **task, "reason": prompt}),
        (0.5 + wait, {"event": "task_settled", **task, "state": state, "reason": prompt}),
        (0.6 + wait, {"event": "slot_released", **slot, "slot_id": f"l{number}"}),
        (0.7 + wait, {"event": "session_sealed", **who, "reason": "complete"}),
        (0.8 + wait, {"event": "session_ended", **who, "outcome": outcome, "reason": prompt}),
    ]
    start = number if start is None else start
    return [{"t": start + after, **event} for after, event in events]


OPENING = [
    {"t": 0, "event": "studio_opened", "at": "2026-01-01T12:00:00+00:00"},
    {"t": 0, "event": "lane_opened", "lane": "image", "max_concurrent": 3},
]


def write_log(path, events):
    lines = (json.dumps({"seq": n, **event}).encode() for n, event in enumerate(events))
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def data_of(path):
    text = path.read_bytes().split(b'<script type="application/json" id="data">')[1]
    return orjson.loads(text.split(b"</script>")[0])


@pytest.fixture(scope="module")
def real_log(tmp_path_factory):
    """A log of a studio that was given names and prompts by somebody who means harm."""
    path = tmp_path_factory.mktemp("page") / "events.jsonl"
    settings = Settings(events=path, slots=2, backoff=0.01)
    with Studio.open(settings, store=MemoryStore(), generator=Fails()) as studio:
        texts = [*HOSTILE, "a broken oar", "fine", "x" * 1_900]
        for number, text in enumerate(texts):
            tag = f'<!--img-prompt="{text.replace(chr(34), chr(39)).replace("-->", "")}"-->'
            name = text if number == 0 else f"msg-{number}"
            studio.illustrate(name, f"text {tag} text").get(timeout=60)
    return path


@pytest.fixture(scope="module")
def real_page(real_log):
    path = real_log.with_name("page.html")
    assert write_page(LogReader(real_log), path) == "9 sessions"
    return path


@pytest.fixture(scope="module")
def busy_page(tmp_path_factory):
    """Forty messages, some of which failed, that had to wait ever longer, and a hostile one."""
    path = tmp_path_factory.mktemp("busy") / "events.jsonl"
    events = list(OPENING)
    for number in range(40):
        outcome = "failed" if number % 10 == 9 else "written"
        events += one_message(number, None, f"prompt {number}", outcome, number / 4, number / 10)
    events += one_message(40, MARKUP, MARKUP * 200, "failed")
    events += one_message(41, "\u202eolleh\u2066", "\u202eolleh")
    events += [
        {"t": 0, "event": "lane_opened", "lane": MARKUP, "max_concurrent": None},
        {"t": 1, "event": "lane_paused", "lane": MARKUP, "seconds": None},
        {"t": 20, "event": "lane_resumed", "lane": MARKUP},
    ]
    events.sort(key=lambda event: event["t"])
    write_page(LogReader(write_log(path, events)), path.with_name("page.html"))
    return path.with_name("page.html")


@pytest.fixture(scope="session")
def browser():
    """A Chromium, installed if it is missing and can be."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None and os.geteuid() == 0 and (apt := shutil.which("apt-get")):
        install = f"{apt} update && {apt} install -y --no-install-recommends chromium"
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(
                ["/bin/sh", "-c", install],
                env=environment,
                capture_output=True,
                timeout=300,
                check=False,
            )
        found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(
            "no Chromium is on the path, and none could be installed: nothing was looked at"
        )
    return found


@pytest.fixture
def browse(browser, tmp_path):
    """Return a function that opens a page in the browser, and gives what it prints."""

    def run(path, *options):
        done = subprocess.run(
            [
                browser,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--host-resolver-rules=MAP * ~NOTFOUND",
                "--hide-scrollbars",
                "--force-device-scale-factor=1",
                f"--user-data-dir={tmp_path / 'profile'}",
                "--virtual-time-budget=3000",
                *options,
                path.as_uri(),
            ],
            capture_output=True,
            timeout=120,
            check=True,
        )
        return done.stdout.decode()

    return run


class Elements(HTMLParser):
    """The elements of a document, and their texts."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.title, self.texts = [("", {})], "", []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.tags[-1][0] == "title" and not self.title:
            self.title = data
        self.texts.append(data)

    def named(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


def test_a_page_asks_no_network_and_allows_only_its_own_style_and_script(real_page):
    html = real_page.read_text("utf-8")
    elements = Elements(html)
    policy = elements.named("meta")[1]["content"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for kind in ("style", "script"):
        ours = re.search(rf"<{kind}>(.*?)</{kind}>", html, re.DOTALL)[1]
        assert f"{kind}-src 'sha256-{page.sha256(ours)}'" in policy
        for way_out in ("http:", "https:", "//", "url(", "@import", "fetch(", "XMLHttp", "import("):
            assert way_out not in re.sub(r"(?m)^\s*//.*|\s// .*$", "", ours), way_out
    assert not [one for _, one in elements.tags if one.keys() & {"src", "href", "style", "onclick"}]


def test_what_the_log_holds_is_in_the_page_as_data_only(real_page):
    html = real_page.read_text("utf-8")
    assert "<img" not in html
    assert html.count("</script>") == 2
    assert "\u2028" not in html
    sessions = data_of(real_page)["sessions"]
    assert MARKUP in {one["id"] for one in sessions}
    assert any("</script><img" in one["pictures"][0][0] for one in sessions)


def test_a_page_counts_what_happened(real_page, real_log):
    data = data_of(real_page)
    events = [orjson.loads(line) for line in real_log.read_bytes().splitlines()]
    assert data["outcomes"] == {"written": 9}
    assert data["states"] == {"completed": 8, "failed": 1}
    assert data["attempts"] == {"completed": 8, "failed": 1}
    assert data["waits"]["number"] == sum(one["event"] == "slot_granted" for one in events)
    assert sum(count for _, _, count in data["waits"]["bins"]) == data["waits"]["number"]
    assert data["lanes"][0]["peak"] == 1
    assert max(point[4] for point in data["lanes"][0]["points"]) == 2
    assert data["lines"] == len(events)


def test_a_page_of_a_long_log_is_bounded_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "LATEST", 50)
    monkeypatch.setattr(page, "SLOWEST", 20)
    monkeypatch.setattr(page, "TROUBLED", 20)
    events = list(OPENING)
    for number in range(2_000):
        wait = 30 if number in range(100, 110) else 0.1
        outcome = "failed" if number in range(200, 205) else "written"
        events += one_message(number, None, "x" * 10_000, outcome, wait=wait)
    events.sort(key=lambda event: event["t"])
    log = write_log(tmp_path / "long.jsonl", events)
    out = tmp_path / "page.html"
    said = write_page(LogReader(log), out)
    data = data_of(out)
    shown = [int(one["session"][1:]) for one in data["sessions"]]
    assert said == f"2,000 sessions; {len(shown)} of them one by one, the rest counted"
    assert len(shown) <= 90
    assert {*range(100, 110), *range(200, 205), *range(1_950, 2_000)} <= set(shown)
    assert data["total"] == data["waits"]["number"] == 2_000
    assert len(data["lanes"][0]["points"]) < 2 * page.MAX_POINTS
    assert out.stat().st_size < 1_000_000


def test_the_use_of_a_lane_keeps_its_time_and_its_peak_however_it_is_thinned():
    use, exact, last = Use(), 0, 0
    for number in range(50_000):
        out = 7 if number == 31_415 else number % 3
        t = number * 10 + number % 7
        exact += last * (t - (number and (number - 1) * 10 + (number - 1) % 7))
        use.change(Level(1, "image", t, out, number % 5, 7))
        last = out
    exact += 2 * last
    told = use.told("image", 499_997)
    points = told["points"]
    assert len(points) < 2 * page.MAX_POINTS
    ends = [*(point[0] for point in points[1:]), 499_997]
    time = sum(point[1] * (end - point[0]) for point, end in zip(points, ends, strict=True))
    assert time == pytest.approx(exact, rel=0.001)
    assert use.busy == exact
    assert told["peak"] == max(point[2] for point in points) == 7
    assert [point[0] for point in points] == sorted({point[0] for point in points})


def test_a_short_log_is_shown_change_by_change():
    use = Use()
    for t, out in [(5, 1), (9, 2), (9, 3), (20, 0)]:
        use.change(Level(1, "image", t, out, 0, 3))
    points = use.told("image", 30)["points"]
    assert [point[:3] for point in points] == [[0, 0, 0], [5, 1, 1], [9, 3, 3], [20, 0, 0]]


@pytest.mark.parametrize("lasted", [0, 1, 400, 999])
def test_a_request_that_is_granted_at_once_is_not_shown_as_waiting(lasted):
    use = Use()
    for number in range(1, 50):
        t = number * 10_000
        use.change(Level(1, "image", t, 0, 1, 3))
        use.change(Level(1, "image", t + lasted, 1, 0, 3))
        use.change(Level(1, "image", t + 5_000, 0, 0, 3))
    assert {point[3] for point in use.told("image", 500_000)["points"]} == {0}


def test_a_queue_that_changes_all_the_time_is_shown_as_waiting():
    use = Use()
    for number in range(1, 5_000):
        waiting = min(number, 40 + number % 2)
        use.change(Level(1, "image", 1_000_000 + number * 100, 1, waiting, 3))
    points = use.told("image", 2_000_000)["points"]
    assert {point[3] for point in points[len(points) // 2 :]} <= {40, 41}


def test_a_request_that_waits_is_shown_as_waiting():
    use = Use()
    for t, waiting in [(5_000, 1), (6_000, 0), (9_000, 2), (9_100, 3), (12_000, 0)]:
        use.change(Level(1, "image", t, 0, waiting, 3))
    points = use.told("image", 20_000)["points"]
    assert [(point[0], point[3]) for point in points] == [
        *((0, 0), (5_000, 1), (6_000, 0)),
        *((9_000, 0), (9_100, 3), (12_000, 0)),
    ]


def test_a_lane_without_a_limit_offers_what_it_uses():
    use = Use()
    for t, out, limit in [(0, 1, 2), (10, 3, None), (20, 0, 2), (30, 0, 2)]:
        use.change(Level(1, "host:a", t, out, 0, limit))
    use.halts.append((12, 15, "paused"))
    told = use.told("host:a", 40)
    assert (told["busy"], told["offered"], told["limit"]) == (40, 20 + 30 + 40, None)
    assert [point[4] for point in told["points"]] == [2, None, 2, 2]
    assert told["halts"] == [(12, 15, "paused")]
    assert page.merged((0, 1, 1, 1, None), (1, 1, 1, 1, 7)) == (0, 2, 1, 1, None)
    assert page.merged((0, 1, 1, 1, 2), (1, 1, 1, 1, 7)) == (0, 2, 1, 1, 7)


def test_halts_of_a_lane_are_bounded():
    digest = Digest()
    pause = {"event": "lane_paused", "lane": "image", "seconds": 0.5}
    for span in Spans([*OPENING, *({"t": t, **pause} for t in range(2 * page.MAX_HALTS))]):
        digest.take(span)
    halts = digest.lanes["image"].halts
    assert len(halts) == page.MAX_HALTS
    assert halts[-1] == (1_999_000_000, 1_999_000_000, "paused")


def test_quantiles_are_right_within_one_hundredth():
    durations = Durations()
    for micros in range(0, 1_000_001, 7):
        durations.add(micros)
    for share in (0.5, 0.95, 0.99):
        assert durations.quantile(share) == pytest.approx(share * 1_000_000, rel=0.011)
    assert durations.quantile(1) <= durations.longest == 999_999
    assert Durations().told()["bins"] == []


def test_what_a_page_leaves_out_is_told(tmp_path):
    events = [*OPENING, *one_message(0)[:6], {"t": 9, "event": "task_settled", "session_id": "s0"}]
    log = write_log(tmp_path / "log.jsonl", events)
    log.write_bytes(log.read_bytes() + b'{"seq": 99, "t"')
    said = write_page(LogReader(log), tmp_path / "page.html")
    assert said == "1 session; 1 session open to the end; 1 unusable event left out"
    data = data_of(tmp_path / "page.html")
    assert (data["passed"], data["cut"], data["outcomes"]) == (1, True, {"open": 1})


def test_names_that_a_log_makes_up_do_not_grow_without_bound():
    digest = Digest()
    events = [*OPENING]
    for number in range(100):
        events += one_message(number, outcome=f"outcome {number}")
        events.append(
            {"t": number, "event": "lane_opened", "lane": f"{number}", "max_concurrent": 1}
        )
    for span in Spans(events):
        digest.take(span)
    assert len(digest.outcomes) == page.MAX_NAMES + 1
    assert sum(digest.outcomes.values()) == digest.sessions == 100
    assert len(digest.lanes) == page.MAX_LANES
    assert digest.lanes_left_out


def test_the_page_in_a_browser(browser, browse, busy_page, real_page, tmp_path):
    """One test, which is skipped where no browser can be had."""
    looks_as_it_should(browse, busy_page, tmp_path)
    builds_its_rows_and_no_hostile_element(browse, busy_page, real_page)
    answers_a_person(browse, busy_page, tmp_path)
    stops_a_script_that_is_not_its_own(browse, busy_page, tmp_path)


def looks_as_it_should(browse, path, tmp_path):
    brightness = {}
    for name, setting, size in (
        ("light", 1, (1280, 1900)),
        ("dark", 0, (1280, 1900)),
        ("narrow", 1, (520, 1900)),
    ):
        shot = tmp_path / f"{name}.png"
        browse(
            path,
            f"--screenshot={shot}",
            f"--window-size={size[0]},{size[1]}",
            f"--blink-settings=preferredColorScheme={setting}",
        )
        with Image.open(shot) as image:
            assert image.size == size, name
            picture = image.convert("RGB")
        # a picture of the timeline's colours, and not of one colour
        assert len(picture.getcolors(2**24)) > 100, name
        brightness[name] = sum(ImageStat.Stat(picture).mean) / 3
    assert brightness["dark"] < 60 < 200 < brightness["light"]


def builds_its_rows_and_no_hostile_element(browse, *paths):
    for path in paths:
        elements = Elements(browse(path, "--dump-dom"))
        sessions = data_of(path)["sessions"]
        rows = [one for one in elements.named("tr") if one.get("id", "").startswith("session-")]
        assert len(rows) == len(sessions)
        assert not [one for name in ("img", "b", "iframe") for one in elements.named(name) if one]
        assert elements.title == "Limner: what happened"
        assert len(elements.named("script")) == 2
        for one in sessions:
            assert one["id"] in elements.texts
        assert [one for one in elements.tags if one[1].get("scope") == "col"]


def with_script(path, script, out):
    """Return a page whose own script goes on with another one."""
    html = path.read_text("utf-8")
    ours = re.search(r"<script>(.*?)</script>", html, re.DOTALL)[1]
    both = f"{ours}\n{script}"
    out.write_text(
        html.replace(page.sha256(ours), page.sha256(both)).replace(ours, both), encoding="utf-8"
    )
    return out


PERSON = """
const all = (selector) => [...document.querySelectorAll(selector)];
const names = () => all("td.name bdi").map((one) => one.textContent);
const head = (title) => all("th button").find((one) => one.textContent.startsWith(title));
const done = {};
const box = $("rows-box"), span = () => view.to - view.from, place = box.getBoundingClientRect();
const at = { clientX: place.left + 400, clientY: place.top + 60, bubbles: true, cancelable: true };
done.whole = span();
box.dispatchEvent(new WheelEvent("wheel", { ...at, deltaY: -100, ctrlKey: true }));
done.wheel = span();
$("zoom-in").click();
done.button = span();
const press = (key) => box.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
press("+");
done.key = span();
const before = view.from;
press("ArrowRight");
done.moved = view.from - before;
press("0");
done.back = span();
drawNow();
const plots = [...document.querySelectorAll("#lanes canvas")];
const over = plots[1].getBoundingClientRect();
const middle = { clientX: over.left + 400, clientY: over.top + 30, bubbles: true };
plots[1].dispatchEvent(new PointerEvent("pointermove", middle));
done.lane = $("tip").textContent;
box.dispatchEvent(new PointerEvent("pointermove", at));
done.tip = $("tip").hidden ? "" : $("tip").textContent;
head("Duration").click();
done.slowest = names()[0];
done.sorted = document.querySelector("th[aria-sort]").textContent;
head("Duration").click();
done.quickest = names()[0];
$("search").value = "prompt 17";
$("search").dispatchEvent(new Event("input"));
done.found = names();
document.querySelector("td.name button").click();
done.detail = document.querySelector("tr.detail").textContent;
$("search").value = "";
$("search").dispatchEvent(new Event("input"));
[...$("outcomes").children].find((one) => one.textContent.includes("failed")).click();
done.failed = names().length;
$("theme").click();
done.scheme = document.documentElement.style.colorScheme;
document.body.dataset.done = JSON.stringify(done);
"""


def answers_a_person(browse, path, tmp_path):
    elements = Elements(
        browse(
            with_script(path, PERSON, tmp_path / "person.html"),
            "--dump-dom",
            "--window-size=1280,1000",
            "--blink-settings=preferredColorScheme=1",
        )
    )
    done = json.loads(elements.named("body")[0]["data-done"])
    assert done["whole"] > done["wheel"] > done["button"] > done["key"]
    assert done["moved"] > 0
    assert done["back"] == done["whole"]
    assert done["tip"].startswith("m2")
    assert "longest wait" in done["tip"]
    assert done["lane"].startswith(MARKUP)
    assert "0 of any" in done["lane"]
    assert "paused for 19 s" in done["lane"]
    assert (done["slowest"], done["sorted"], done["quickest"]) == ("m39", "Duration ↓", "m0")
    assert done["found"] == ["m17"]
    assert "prompt 17" in done["detail"]
    assert "waiting 1.7 s" in done["detail"]
    assert done["failed"] == 5
    assert done["scheme"] == "dark"


def stops_a_script_that_is_not_its_own(browse, path, tmp_path):
    """The second wall: were markup to get into the page after all, it could do nothing."""
    planted = (
        "<script>document.title = 'owned'</script><img src=x onerror=\"document.title='owned'\">"
    )
    out = tmp_path / "planted.html"
    out.write_text(path.read_text("utf-8").replace("<main>", f"{planted}<main>"), encoding="utf-8")
    assert Elements(browse(out, "--dump-dom")).title == "Limner: what happened"
    bare = re.sub(r"<meta http-equiv[^>]*>", "", out.read_text("utf-8"))
    out.write_text(bare, encoding="utf-8")
    assert Elements(browse(out, "--dump-dom")).title == "owned", "the policy is what stopped it"
