"use strict";
// Everything in the data was written by users and models: it becomes text, never markup.
const log = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const make = (tag, text = "", name = "") => {
  const element = document.createElement(tag);
  if (text !== "") element.textContent = text;
  if (name) element.className = name;
  return element;
};

// ---- words and numbers

const MARKS = { written: "✓", completed: "✓", skipped: "↷", cancelled: "⊘", timed_out: "◷", failed: "✕", open: "…" };
const NAMES = { timed_out: "timed out", open: "open to the end", settling: "awaiting pictures", pausing: "pausing before a retry" };
const markOf = (word) => (Object.hasOwn(MARKS, word) ? MARKS[word] : "•");
const nameOf = (word) => (Object.hasOwn(NAMES, word) ? NAMES[word] : word);
const whole = (number) => number.toLocaleString("en");
const many = (number, noun) => `${whole(number)} ${noun}${number === 1 ? "" : "s"}`;

function time(micros) {
  const seconds = micros / 1e6;
  if (micros === 0) return "0 s";
  if (seconds < 0.001) return `${Math.round(micros)} µs`;
  if (seconds < 0.9995) return `${Number((seconds * 1000).toPrecision(3))} ms`;
  if (seconds < 59.95) return `${Number(seconds.toPrecision(3))} s`;
  const left = Math.round(seconds);
  const both = (one, unit, other, below) => `${one} ${unit}${other ? ` ${other} ${below}` : ""}`;
  if (left < 3600) return both(Math.floor(left / 60), "min", left % 60, "s");
  if (left < 48 * 3600) return both(Math.floor(left / 3600), "h", Math.floor((left % 3600) / 60), "min");
  return `${(left / 86400).toFixed(1)} days`;
}

const share = (part) => (part > 0 && part < 0.01 ? "<1 %" : `${Math.round(100 * part)} %`);

const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 1.5e7, 3e7,
  6e7, 1.2e8, 3e8, 6e8, 9e8, 1.8e9, 3.6e9, 7.2e9, 1.08e10, 2.16e10, 4.32e10, 8.64e10, 1.728e11, 6.048e11, 2.592e12, 3.1536e13];

function ticks(from, to, room) {
  const step = STEPS.find((one) => (to - from) / one <= room) || STEPS.at(-1) * 10;
  const found = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) found.push(at);
  return { step, found };
}

function clock(micros, step) {
  if (step < 1e6) {
    const digits = step >= 1e5 ? 1 : step >= 1e4 ? 2 : step >= 1e3 ? 3 : 6;
    return `${(micros / 1e6).toFixed(digits)} s`;
  }
  const seconds = Math.round(micros / 1e6);
  if (log.last < 12e7) return `${seconds} s`;
  const pad = (number) => String(number).padStart(2, "0");
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60), seconds % 60];
  return h || log.last >= 3.6e9 ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`;
}

// ---- theme, and the colours that canvases draw with

let colour = {};
const probe = make("i");
probe.hidden = true;
document.body.append(probe);

function readColours() {
  for (const name of ["paper", "card", "raised", "line", "rule", "ink", "soft", "accent", "gold", "streaming", "waiting", "generating", "writing", "settling", "failed", "good"]) {
    probe.style.color = `var(--${name})`;
    colour[name] = getComputedStyle(probe).color;
  }
}

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
let theme = null;
const isDark = () => (theme === null ? prefersDark.matches : theme === "dark");

function setTheme() {
  document.documentElement.style.colorScheme = theme === null ? "" : theme;
  $("theme-name").textContent = isDark() ? "Light" : "Dark";
  readColours();
  drawLegend();
  draw();
}

// ---- summary

const GROUPS = { written: "good", completed: "good", failed: "failed", timed_out: "failed", cancelled: "rule", skipped: "rule", open: "gold" };
const groupOf = (word) => (Object.hasOwn(GROUPS, word) ? GROUPS[word] : "rule");

function figure(title, big, unit, parts, facts) {
  const box = make("div", "", "figure");
  const number = make("p", big, "big");
  if (unit) number.append(" ", make("small", unit));
  box.append(make("h2", title), number);
  if (parts && parts.length) {
    const strip = make("div", "", "parts");
    strip.setAttribute("aria-hidden", "true");
    for (const [share, name] of parts) {
      const part = make("i");
      part.style.flexGrow = share;
      part.style.background = `var(--${name})`;
      strip.append(part);
    }
    box.append(strip);
  }
  const list = make("ul");
  for (const [value, name] of facts) {
    const item = make("li");
    item.append(make("b", value), ` ${name}`);
    list.append(item);
  }
  box.append(list);
  $("figures").append(box);
}

function spread(title, durations, quantity) {
  if (!durations.number) return figure(title, "–", "", null, [["none", "in this log"]]);
  figure(`${title}, median`, time(durations.p50), "", null,
    [[time(durations.p95), "p95"], [time(durations.p99), "p99"], [time(durations.max), "longest"], [whole(durations.number), quantity]]);
}

function drawSummary() {
  const began = log.began === null ? null : new Date(log.began);
  const when = began && !isNaN(began) ? began.toLocaleString("en-GB", { dateStyle: "long", timeStyle: "medium", timeZone: "UTC" }) + " UTC" : "";
  const about = [when, `${time(log.last)} long`, many(log.runs, "run"), many(log.lines, "line")];
  $("about").textContent = about.filter(Boolean).join(" · ");
  const counted = (counts) => Object.entries(counts);
  const pictures = counted(log.states).reduce((sum, [, number]) => sum + number, 0);
  figure("Sessions", whole(log.total), "", counted(log.outcomes).map(([name, number]) => [number, groupOf(name)]),
    counted(log.outcomes).map(([name, number]) => [whole(number), `${markOf(name)} ${nameOf(name)}`]));
  const failed = (log.attempts.failed || 0) + (log.attempts.abandoned || 0);
  figure("Pictures", whole(pictures), "asked for", counted(log.states).map(([name, number]) => [number, groupOf(name)]),
    [...counted(log.states).map(([name, number]) => [whole(number), `${markOf(name)} ${nameOf(name)}`]),
      ...(failed ? [[whole(failed), failed === 1 ? "attempt failed" : "attempts failed"]] : [])]);
  spread("Wait for a slot", log.waits, "waits");
  spread("Generation", log.generations, "calls");
  const offered = log.lanes.reduce((sum, lane) => sum + lane.offered, 0);
  const busy = log.lanes.reduce((sum, lane) => sum + lane.busy, 0);
  figure("Slot time used", offered ? `${Math.round((100 * busy) / offered)} %` : "–", "", offered ? [[busy, "generating"], [offered - busy, "raised"]] : null,
    log.lanes.map((lane) => [lane.limit === null ? `${lane.peak}` : `${lane.peak} of ${lane.limit}`, `at most in ${lane.name}`]));

  const notes = [];
  if (log.sessions.length < log.total) notes.push(`Every session is counted in the figures, slot use and histograms. ${whole(log.sessions.length)} of ${whole(log.total)} are shown one by one: the last ${whole(log.most.latest)}, the slowest ${whole(log.most.slowest)}, and the last ${whole(log.most.troubled)} that lack a picture or were not written.`);
  if (log.sessions.some((one) => one.prompts > one.pictures.length)) notes.push(`Of a session with more than ${log.most.pictures} pictures, the first ${log.most.pictures} are shown one by one.`);
  if (log.lanesLeftOut) notes.push(`Only the first ${log.lanes.length} lanes are shown.`);
  if (log.cut) notes.push("The last line of the log was cut off, as by a process that was killed.");
  if (log.foreign) notes.push(`${many(log.foreign, "line")} of the log ${log.foreign === 1 ? "is" : "are"} no event, and left out.`);
  if (log.passed) notes.push(`${many(log.passed, "event")} said too little to be used, and ${log.passed === 1 ? "is" : "are"} left out.`);
  for (const note of notes) $("notes").append(make("li", note));
}

function drawHistogram(id, durations, noun) {
  if (!durations.number) return $(id).append(make("p", "Nothing of this kind is in the log.", "empty"));
  $(`${id}-sub`).textContent = `${many(durations.number, noun)}, all that the log holds · median ${time(durations.p50)} · p95 ${time(durations.p95)}`;
  const most = Math.max(...durations.bins.map((bin) => bin[2]));
  $(id).setAttribute("role", "list");
  const bins = [];
  for (const [from, to, number] of durations.bins) {
    const before = bins.at(-1);
    if (before && number === 0 && before[2] === 0) before[1] = to; // a row for many empty ones
    else bins.push([from, to, number]);
  }
  for (const [from, to, number] of bins) {
    const row = make("div", "", "bin"), track = make("div", "", "track"), bar = make("i");
    row.setAttribute("role", "listitem");
    bar.style.width = `${(100 * number) / most}%`;
    bar.hidden = number === 0;
    track.append(bar);
    row.append(make("span", from === 0 ? `under ${time(to)}` : `${time(from)} – ${time(to)}`, "range"), track,
      make("span", whole(number), "many"), make("span", share(number / durations.number), "share"));
    $(id).append(row);
  }
}

// ---- which sessions, and in which order

const sessions = log.sessions;
sessions.forEach((one, number) => {
  one.number = number;
  one.length = one.ended - one.opened;
  one.text = [one.id, one.session, one.owner, one.outcome, nameOf(one.outcome), one.reason, ...one.pictures.flatMap((picture) => [picture[0], picture[4]])]
    .filter((part) => part !== null).join("\n").toLowerCase();
});
const byTime = [...sessions].sort((one, other) => one.opened - other.opened || one.number - other.number);
let wanted = "", outcome = null, found = byTime, chosen = null;
let sorting = { key: "opened", up: true }, limit = 100;

function filter() {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  found = byTime.filter((one) => (outcome === null || one.outcome === outcome) && words.every((word) => one.text.includes(word)));
  $("found").textContent = found.length === sessions.length ? "" : `${whole(found.length)} of ${many(sessions.length, "session")}`;
  limit = 100;
  fillTable();
  draw();
}

function drawOutcomes() {
  const counts = new Map();
  for (const one of sessions) counts.set(one.outcome, (counts.get(one.outcome) || 0) + 1);
  const choices = [[null, sessions.length], ...[...counts].sort((one, other) => other[1] - one[1]).slice(0, 12)];
  for (const [name, number] of choices) {
    const button = make("button", name === null ? `All ${whole(number)}` : `${markOf(name)} ${nameOf(name)} ${whole(number)}`);
    button.type = "button";
    button.setAttribute("aria-pressed", String(name === outcome));
    button.addEventListener("click", () => {
      outcome = name;
      for (const other of $("outcomes").children) other.setAttribute("aria-pressed", String(other === button));
      filter();
    });
    $("outcomes").append(button);
  }
}

// ---- table

const COLUMNS = [
  ["Message", "id", ""], ["Owner", "owner", ""], ["Outcome", "outcome", ""], ["Began", "opened", "number"], ["Prompts", "prompts", "number"],
  ["Completed", "completed", "number"], ["Failed", "failed", "number"], ["Longest wait", "waited", "number"], ["Duration", "length", "number"], ["Reason", "reason", ""]];
const collator = new Intl.Collator("en", { numeric: true });

function drawHead() {
  for (const [title, key, kind] of COLUMNS) {
    const head = make("th", "", kind), button = make("button");
    head.scope = "col";
    button.type = "button";
    button.addEventListener("click", () => {
      sorting = { key, up: sorting.key === key ? !sorting.up : kind === "" || key === "opened" };
      fillTable();
    });
    head.append(button);
    head.relabel = () => {
      const here = sorting.key === key;
      button.textContent = title + (here ? (sorting.up ? " ↑" : " ↓") : "");
      if (here) head.setAttribute("aria-sort", sorting.up ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    };
    $("table").tHead.rows[0].append(head);
  }
}

function badge(word) {
  const element = make("span", "", "badge");
  if (Object.hasOwn(MARKS, word)) element.classList.add(word);
  const mark = make("span", markOf(word));
  mark.setAttribute("aria-hidden", "true");
  element.append(mark, make("bdi", nameOf(word)));
  return element;
}

function rowOf(one) {
  const row = make("tr"), open = make("button");
  row.id = `session-${one.number}`;
  row.classList.toggle("chosen", one === chosen);
  open.type = "button";
  open.setAttribute("aria-expanded", "false");
  open.append(make("bdi", one.id || "(no name)"));
  open.title = one.id;
  open.addEventListener("click", () => {
    const shown = open.getAttribute("aria-expanded") === "true";
    open.setAttribute("aria-expanded", String(!shown));
    if (shown) row.nextElementSibling.remove();
    else row.after(detailOf(one));
  });
  for (const [, key, kind] of COLUMNS) {
    const cell = make("td", "", kind);
    if (key === "id") { cell.className = "name"; cell.append(open); }
    else if (key === "outcome") cell.append(badge(one.outcome));
    else if (key === "opened") cell.textContent = log.last < 12e7 ? time(one.opened) : clock(one.opened, 1e6);
    else if (key === "waited" || key === "length") cell.textContent = time(one[key]);
    else if (kind === "number") cell.textContent = whole(one[key]);
    else { cell.className = key; cell.append(make("bdi", one[key] === null ? "" : one[key])); }
    row.append(cell);
  }
  return row;
}

function detailOf(one) {
  const row = make("tr", "", "detail"), cell = make("td"), list = make("ol");
  cell.colSpan = COLUMNS.length;
  for (const [prompt, detected, settled, state, reason, phases] of one.pictures) {
    const item = make("li"), text = make("div"), line = make("p");
    line.append(make("bdi", prompt || "(no text)"));
    const told = phases.map(([kind, start, end, how]) => `${nameOf(kind)} ${time(end - start)}${["failed", "abandoned", "dropped", "withdrawn"].includes(how) ? ` (${how})` : ""}`);
    text.append(line, make("span", [`found after ${time(detected - one.opened)}`, ...told, `settled after ${time(settled - one.opened)}`].join(" · "), "sub"));
    if (reason !== null) text.append(make("bdi", reason, "sub"));
    item.append(badge(state), text);
    list.append(item);
  }
  if (one.prompts > one.pictures.length) list.append(make("li", `and ${whole(one.prompts - one.pictures.length)} more`));
  const show = make("button", "Show in the timeline");
  show.type = "button";
  show.addEventListener("click", () => {
    choose(one);
    const margin = Math.max(one.length * 0.25, 1000);
    setView(one.opened - margin, one.ended + margin);
    scrollToRow(one);
    $("rows-box").scrollIntoView({ block: "center" });
  });
  if (!one.pictures.length) cell.append(make("p", "Its text asked for no picture.", "sub"));
  cell.append(list, show);
  row.append(cell);
  return row;
}

function fillTable() {
  const { key, up } = sorting;
  const compare = (one, other) => typeof one[key] === "number" ? one[key] - other[key] : collator.compare(one[key] || "", other[key] || "");
  const sorted = [...found].sort((one, other) => (up ? 1 : -1) * compare(one, other) || one.number - other.number);
  const body = $("table").tBodies[0];
  body.replaceChildren(...sorted.slice(0, limit).map(rowOf));
  for (const head of $("table").tHead.rows[0].cells) head.relabel();
  const left = sorted.length - limit;
  $("more").hidden = left <= 0;
  $("more").textContent = `Show ${whole(Math.min(left, 200))} more of ${whole(left)}`;
  $("shown").textContent = sorted.length ? `${whole(Math.min(limit, sorted.length))} of ${many(sorted.length, "session")}` : "no session is like that";
}

function choose(one) {
  chosen = one;
  for (const row of document.querySelectorAll("tr.chosen")) row.classList.remove("chosen");
  const row = one && $(`session-${one.number}`);
  if (row) row.classList.add("chosen");
  draw();
}

// ---- timeline: an overview of all, the lanes and the sessions of the part that is in view

const END = Math.max(log.last, 1);
const AXIS = 24, MOST_ROW = 28, LEAST_ROW = 12;
let view = { from: 0, to: END }, pointer = null, rows = [], rowHeight = MOST_ROW;
const limitOf = (limit) => (limit === null ? "any" : limit);
const lanes = log.lanes.map((lane) => {
  const box = make("div", "", "plot"), canvas = make("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Slots in use in lane ${lane.name} over time: at most ${lane.peak}`);
  box.append(canvas);
  $("lanes").append(box);
  return { ...lane, canvas };
});

function gutter(width) { return Math.min(190, Math.round(width * 0.24)); }

function prepare(canvas, height) {
  const width = canvas.parentElement.clientWidth, ratio = devicePixelRatio || 1;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; canvas.style.height = `${height}px`; }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = `12.5px ${getComputedStyle(document.body).fontFamily}`;
  pen.textBaseline = "middle";
  return { pen, width, height };
}

function scale(width, from = view.from, to = view.to) {
  const left = gutter(width), room = width - left - 8;
  return { left, room, x: (t) => left + ((t - from) / (to - from)) * room, t: (x) => from + ((x - left) / room) * (to - from) };
}

const patterns = new Map();
function fill(pen, kind) {
  if (kind !== "waiting" && kind !== "pausing") return colour[kind] || colour.rule;
  const key = `${kind} ${isDark()} ${devicePixelRatio}`;
  if (!patterns.has(key)) {
    const tile = make("canvas");
    tile.width = tile.height = 8;
    const ink = tile.getContext("2d");
    ink.strokeStyle = kind === "waiting" ? colour.waiting : colour.rule;
    ink.globalAlpha = 0.32;
    ink.fillStyle = ink.strokeStyle;
    ink.fillRect(0, 0, 8, 8);
    ink.globalAlpha = 1;
    ink.lineWidth = 2.4;
    for (const shift of [-8, 0, 8]) { ink.beginPath(); ink.moveTo(shift - 1, 9); ink.lineTo(shift + 9, -1); ink.stroke(); }
    patterns.set(key, pen.createPattern(tile, "repeat"));
  }
  return patterns.get(key);
}

function bar(pen, kind, x0, x1, y, height) {
  pen.fillStyle = fill(pen, kind);
  pen.fillRect(x0, y, Math.max(1, x1 - x0), height);
}

function cross(pen, x, y, size) {
  pen.strokeStyle = colour.card;
  pen.lineWidth = 4.5;
  for (let pass = 0; pass < 2; pass++) {
    pen.beginPath();
    pen.moveTo(x - size, y - size); pen.lineTo(x + size, y + size);
    pen.moveTo(x + size, y - size); pen.lineTo(x - size, y + size);
    pen.stroke();
    pen.strokeStyle = colour.failed;
    pen.lineWidth = 2;
  }
}

function drawLegend() {
  patterns.clear();
  const entries = ["streaming", "waiting", "generating", "settling", "writing", "failed"];
  $("legend").replaceChildren(...entries.map((kind) => {
    const item = make("li"), canvas = make("canvas");
    canvas.width = 52; canvas.height = 24;
    canvas.setAttribute("aria-hidden", "true");
    const pen = canvas.getContext("2d");
    pen.scale(2, 2);
    if (kind === "failed") { bar(pen, "generating", 0, 16, 3, 6); cross(pen, 16, 6, 4); }
    else bar(pen, kind, 0, 26, kind === "settling" ? 5 : 1, kind === "settling" ? 2 : 10);
    item.append(canvas, kind === "failed" ? "attempt failed" : kind === "waiting" ? "waiting for a slot" : nameOf(kind));
    return item;
  }));
}

function steps(lane, from, to, give) {
  const points = lane.points;
  let low = 0, high = points.length;
  while (low < high) { const middle = (low + high) >> 1; if (points[middle][0] <= from) low = middle + 1; else high = middle; }
  for (let i = Math.max(0, low - 1); i < points.length && points[i][0] < to; i++) give(points[i], i + 1 < points.length ? points[i + 1][0] : log.last);
}

/** Fills what is below a value that is known step by step; as one path, so that steps leave no seams. */
function area(pen, lane, from, to, x, y, floor, pick) {
  pen.beginPath();
  let last = null;
  steps(lane, from, to, (point, end) => {
    if (last === null) pen.moveTo(x(point[0]), floor);
    const at = y(pick(point));
    pen.lineTo(x(point[0]), at);
    pen.lineTo(last = x(end), at);
  });
  if (last !== null) pen.lineTo(last, floor);
  pen.fill();
}

function drawOverview() {
  const { pen, width, height } = prepare($("overview"), 46), { left, room, x } = scale(width, 0, END);
  const lane = lanes[0], top = lane ? Math.max(1, lane.peak, ...lane.points.map((point) => point[4])) : 1;
  if (lane) {
    pen.fillStyle = colour.generating;
    area(pen, lane, 0, END, x, (value) => height - 3 - (value / top) * (height - 10), height - 3, (point) => point[1]);
  }
  const [a, b] = [x(view.from), x(view.to)];
  pen.fillStyle = colour.raised;
  pen.globalAlpha = 0.78;
  pen.fillRect(left, 0, a - left, height);
  pen.fillRect(b, 0, left + room - b, height);
  pen.globalAlpha = 1;
  pen.strokeStyle = colour.accent;
  pen.lineWidth = 2;
  pen.strokeRect(a + 1, 1, Math.max(4, b - a) - 2, height - 2);
  pen.fillStyle = colour.soft;
  pen.fillText(left > 120 ? "Whole log · drag to move" : "Whole log", 10, height / 2, left - 16);
}

function grid(pen, { x, left, room }, height) {
  const { step, found } = ticks(view.from, view.to, Math.max(2, room / 110));
  pen.strokeStyle = colour.line;
  pen.lineWidth = 1;
  pen.beginPath();
  for (const at of found) { const px = Math.round(x(at)) + 0.5; pen.moveTo(px, 0); pen.lineTo(px, height); }
  pen.stroke();
  return { step, found };
}

function drawLane(lane) {
  const { pen, width, height } = prepare(lane.canvas, 92), scaled = scale(width), { x, left, room } = scaled;
  const floor = height - 8, roof = 8;
  let top = 1;
  for (const point of lane.points) top = Math.max(top, point[2], point[4]);
  const waiting = Math.max(1, ...lane.points.map((point) => point[3]));
  const y = (value) => floor - (value / top) * (floor - roof), w = (value) => floor - (value / waiting) * (floor - roof);
  grid(pen, scaled, floor);
  pen.save();
  pen.beginPath(); pen.rect(left, 0, room, height); pen.clip();
  pen.fillStyle = colour.generating;
  pen.globalAlpha = 0.3;
  area(pen, lane, view.from, view.to, x, y, floor, (point) => point[2]);
  pen.globalAlpha = 0.75;
  area(pen, lane, view.from, view.to, x, y, floor, (point) => point[1]);
  pen.globalAlpha = 1;
  const line = (pick, place, style, dash, thick) => {
    pen.strokeStyle = style; pen.lineWidth = thick; pen.setLineDash(dash); pen.beginPath();
    let first = true;
    steps(lane, view.from, view.to, (point, end) => {
      if (pick(point) === null) { first = true; return; }
      const at = place(pick(point));
      if (first) pen.moveTo(x(point[0]), at); else pen.lineTo(x(point[0]), at);
      pen.lineTo(x(end), at);
      first = false;
    });
    pen.stroke(); pen.setLineDash([]);
  };
  line((point) => point[3], w, colour.card, [], 5);
  line((point) => point[3], w, colour.waiting, [], 2);
  line((point) => point[4], y, colour.ink, [5, 4], 1.5);
  pen.fillStyle = colour.failed;
  pen.globalAlpha = 0.25;
  for (const [from, to] of lane.halts) if (to > view.from && from < view.to) pen.fillRect(x(from), roof - 6, Math.max(1, x(to) - x(from)), 5);
  pen.globalAlpha = 1;
  pen.restore();
  const narrow = left < 140;
  pen.fillStyle = colour.ink;
  pen.fillText(lane.name, 2, 14, left - 10);
  for (const [row, text, style] of [[0, narrow ? `▮ of ${limitOf(lane.limit)}` : `▮ slots out, of ${limitOf(lane.limit)}`, colour.generating], [1, narrow ? "┄ limit" : "┄ limit of the lane", colour.ink], [2, narrow ? `⁄ wait ≤${waiting}` : `⁄ waiting, up to ${whole(waiting)}`, colour.waiting]]) {
    pen.fillStyle = style;
    pen.fillText(text.slice(0, 1), 2, 34 + row * 18);
    pen.fillStyle = colour.soft;
    pen.fillText(text.slice(1), 13, 34 + row * 18, left - 20);
  }
}

function layout() {
  rows = found.filter((one) => one.ended >= view.from && one.opened <= view.to);
  const room = $("rows-box").clientHeight - AXIS - 4;
  rowHeight = Math.max(LEAST_ROW, Math.min(MOST_ROW, room / Math.max(1, rows.length)));
  $("rows-space").style.height = `${Math.max(0, rows.length * rowHeight - room)}px`;
}

const rowTop = (index) => AXIS + index * rowHeight - $("rows-box").scrollTop;

/** Gives each picture of a session a strip: the first that is free when its prompt is found. */
function strips(one) {
  if (one.strips) return one.strips;
  const ends = [];
  one.strips = one.pictures.map((picture) => {
    let strip = ends.findIndex((end) => end <= picture[1]);
    if (strip < 0) strip = ends.length;
    ends[strip] = picture[2];
    return strip;
  });
  one.stripCount = Math.max(1, ends.length);
  return one.strips;
}

/** Gives where in a row the session itself goes, and where its pictures. */
function parts(top) {
  const pad = rowHeight > 14 ? 3 : 1, inner = rowHeight - 2 * pad, own = Math.max(2, Math.round(inner * 0.34));
  const gap = rowHeight > 14 ? 2 : 0;
  return { own: top + pad, ownHeight: own, below: top + pad + own + gap, belowHeight: inner - own - gap };
}

function drawRow(pen, one, top, { x, left, room }) {
  const place = parts(top);
  for (const [kind, start, end] of one.phases) {
    if (end < view.from || start > view.to) continue;
    if (kind === "settling") bar(pen, kind, x(start), x(end), place.own + place.ownHeight / 2 - 1, 2);
    else bar(pen, kind, x(start), Math.max(x(end), x(start) + (kind === "writing" ? 2 : 1)), place.own, place.ownHeight);
  }
  strips(one);
  const tall = place.belowHeight / one.stripCount, height = Math.min(9, tall > 3 ? tall - 1 : tall);
  one.pictures.forEach((picture, index) => {
    const y = place.below + one.strips[index] * tall;
    for (const [kind, start, end, how] of picture[5]) {
      if (end < view.from || start > view.to || kind === "pausing") continue;
      bar(pen, kind, x(start), x(end), y, height);
      if (kind === "generating" && (how === "failed" || how === "abandoned") && rowHeight >= 12) cross(pen, x(end), y + height / 2, Math.min(3.5, Math.max(2, height / 2)));
    }
  });
  if (one === chosen) {
    pen.strokeStyle = colour.accent; pen.lineWidth = 1.5;
    pen.strokeRect(left + 0.5, top + 0.5, room - 1, rowHeight - 1);
  }
}

function drawRows() {
  layout();
  const { pen, width, height } = prepare($("rows"), $("rows-box").clientHeight), scaled = scale(width), { left, room, x } = scaled;
  const { step, found: at } = grid(pen, scaled, height);
  const first = Math.max(0, Math.floor($("rows-box").scrollTop / rowHeight));
  const last = Math.min(rows.length, first + Math.ceil((height - AXIS) / rowHeight) + 1);
  pen.save();
  pen.beginPath(); pen.rect(0, AXIS, width, height - AXIS); pen.clip();
  pen.font = pen.font.replace(/^[\d.]+px/, `${Math.min(12.5, rowHeight - 1)}px`);
  for (let index = first; index < last; index++) {
    const one = rows[index], top = rowTop(index), hovered = pointer && pointer.one === one;
    if (hovered || one === chosen) { pen.fillStyle = colour.raised; pen.fillRect(0, top, width, rowHeight); }
    pen.save();
    pen.beginPath(); pen.rect(left, AXIS, room, height); pen.clip();
    drawRow(pen, one, top, scaled);
    pen.restore();
    const middle = top + rowHeight / 2, group = groupOf(one.outcome);
    pen.fillStyle = colour[group === "rule" ? "soft" : group];
    pen.fillText(markOf(one.outcome), 2, middle);
    pen.fillStyle = colour.ink;
    pen.fillText(fit(pen, one.id || "(no name)", left - 30), 20, middle);
  }
  pen.restore();
  pen.fillStyle = colour.card;
  pen.fillRect(0, 0, width, AXIS);
  pen.fillStyle = colour.soft;
  pen.fillText(many(rows.length, "session"), 2, AXIS / 2);
  pen.textAlign = "center";
  for (const t of at) { const px = x(t); if (px > left + 18 && px < width - 26) pen.fillText(clock(t, step), px, AXIS / 2); }
  if (pointer && pointer.x >= left) {
    pen.strokeStyle = colour.rule; pen.lineWidth = 1;
    pen.beginPath(); pen.moveTo(pointer.x + 0.5, AXIS); pen.lineTo(pointer.x + 0.5, height); pen.stroke();
  }
  if (!rows.length) { pen.fillStyle = colour.soft; pen.fillText(found.length ? "No session in this part of the log" : "No session", left + room / 2, height / 2); }
  pen.textAlign = "left";
}

/** Cuts a text to a width, and keeps marks that turn the direction of writing from leaving it. */
function fit(pen, text, room) {
  const plain = text.replace(/[\p{Cc}\p{Bidi_Control}]/gu, " ");
  if (pen.measureText(plain).width <= room) return plain;
  let [low, high] = [0, plain.length];
  while (low < high) { const middle = (low + high + 1) >> 1; if (pen.measureText(`${plain.slice(0, middle)}…`).width <= room) low = middle; else high = middle - 1; }
  return `${plain.slice(0, low)}…`;
}

let due = 0;
function draw() {
  if (!due) due = requestAnimationFrame(drawNow);
}
function drawNow() {
  due = 0;
  drawOverview();
  lanes.forEach(drawLane);
  drawRows();
  const part = view.to - view.from < END * 0.999 ? `Showing ${time(view.to - view.from)} of ${time(END)}. ` : "";
  const thin = rowHeight <= LEAST_ROW && rows.length > 1 ? "Rows scroll; only sessions in view are listed, so zooming in makes them taller. " : "";
  const focused = document.activeElement === $("rows-box");
  $("hint").replaceChildren(part + thin, ...(focused
    ? [key("wheel"), " zooms, ", key("drag"), " moves, ", key("↑"), " ", key("↓"), " choose, ", key("Enter"), " finds it in the table, ", key("Esc"), " lets go"]
    : ["Click the timeline and ", key("wheel"), " zooms there; ", key("Ctrl"), " + ", key("wheel"), " or a pinch zooms anywhere; ", key("drag"), " moves; a click chooses a session"]));
}
const key = (text) => make("kbd", text);

function setView(from, to) {
  const span = Math.min(END, Math.max(20, to - from));
  const start = Math.min(Math.max(0, from + (to - from - span) / 2), END - span);
  view = { from: start, to: start + span };
  draw();
}

function zoom(factor, t = (view.from + view.to) / 2) {
  const anchor = pointer && pointer.one, before = anchor ? rowTop(rows.indexOf(anchor)) : 0;
  setView(t - (t - view.from) * factor, t + (view.to - t) * factor);
  if (anchor) {
    layout();
    const index = rows.indexOf(anchor);
    if (index >= 0) $("rows-box").scrollTop = AXIS + index * rowHeight - before;
  }
}

function move(share) { const by = (view.to - view.from) * share; setView(view.from + by, view.to + by); }

function scrollToRow(one) {
  layout();
  const index = rows.indexOf(one), box = $("rows-box");
  if (index < 0) return;
  const top = index * rowHeight, room = box.clientHeight - AXIS;
  if (top < box.scrollTop || top + rowHeight > box.scrollTop + room) box.scrollTop = top - room / 2;
}

// ---- what the pointer and the keyboard do

function facts(pairs) {
  const list = make("dl");
  for (const [name, value] of pairs) list.append(make("dt", name), make("dd", value));
  return list;
}

function strong(text) { const line = make("b"); line.append(make("bdi", text)); return line; }
function quoted(text) { const line = make("p"); line.append(make("bdi", text.length > 160 ? `${text.slice(0, 159)}…` : text)); return line; }

function tipOf(one, t, y) {
  const lines = [strong(one.id || "(no name)")];
  const index = rows.indexOf(one), place = parts(rowTop(index));
  let told = null;
  if (t !== null) {
    const slack = (view.to - view.from) / 400;
    if (y >= place.below && one.pictures.length) {
      const strip = Math.floor((y - place.below) / (place.belowHeight / (strips(one) && one.stripCount)));
      const at = one.pictures.findIndex((picture, number) => one.strips[number] === strip && picture[1] - slack <= t && t <= picture[2] + slack);
      if (at >= 0) {
        const [prompt, , , state, reason, phases] = one.pictures[at];
        lines.push(quoted(prompt || "(no text)"));
        const phase = phases.find(([, start, end]) => start - slack <= t && t <= end + slack);
        told = [["picture", `${markOf(state)} ${nameOf(state)}`], ...(phase ? [[nameOf(phase[0]), `${time(phase[2] - phase[1])}, ${nameOf(phase[3])}`]] : [])];
        const why = (phase && phase[4]) || reason;
        if (why) told.push(["reason", why]);
      }
    } else {
      const phase = one.phases.find(([, start, end]) => start <= t && t <= end);
      if (phase) told = [[nameOf(phase[0]), time(phase[2] - phase[1])]];
    }
  }
  lines.push(facts([...(told || []), ["session", `${markOf(one.outcome)} ${nameOf(one.outcome)}, ${time(one.length)}`],
    ["pictures", `${one.completed} of ${one.prompts}${one.failed ? `, ${one.failed} failed` : ""}`], ["longest wait", time(one.waited)],
    ...(one.reason && !(told || []).some(([name]) => name === "reason") ? [["reason", one.reason]] : []), ["began at", time(one.opened)]]));
  return lines;
}

function showTip(lines, left, top) {
  const tip = $("tip");
  tip.replaceChildren(...lines);
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(8, Math.min(left + 16, innerWidth - box.width - 8))}px`;
  tip.style.top = `${top + 18 + box.height > innerHeight ? Math.max(8, top - box.height - 12) : top + 18}px`;
}
const hideTip = () => { $("tip").hidden = true; };

function pointAt(event) {
  const box = $("rows").getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
  const index = Math.floor((y - AXIS + $("rows-box").scrollTop) / rowHeight);
  const one = y >= AXIS ? rows[index] : undefined, { left, t } = scale(box.width);
  pointer = { x, y, one, t: x >= left ? t(x) : null };
}

function listen() {
  const box = $("rows-box"), overview = $("overview");
  let drag = null;
  box.addEventListener("pointerdown", (event) => {
    if (event.button || event.offsetX >= box.clientWidth) return;
    pointAt(event);
    drag = { x: event.clientX, from: view.from, to: view.to, moved: false };
  });
  addEventListener("pointermove", (event) => {
    if (!drag) return;
    const by = event.clientX - drag.x;
    if (!drag.moved && Math.abs(by) < 4) return;
    drag.moved = true;
    box.classList.add("moving");
    hideTip();
    const each = (drag.to - drag.from) / scale(box.clientWidth).room;
    setView(drag.from - by * each, drag.to - by * each);
  });
  addEventListener("pointerup", () => {
    if (drag && !drag.moved && pointer) choose(pointer.one === chosen ? null : pointer.one || null);
    drag = null;
    box.classList.remove("moving");
  });
  addEventListener("pointercancel", () => { drag = null; box.classList.remove("moving"); });
  box.addEventListener("pointermove", (event) => {
    if (drag && drag.moved) return;
    pointAt(event);
    if (pointer.one) showTip(tipOf(pointer.one, pointer.t, pointer.y), event.clientX, event.clientY); else hideTip();
    draw();
  });
  box.addEventListener("pointerleave", () => { pointer = null; hideTip(); draw(); });
  box.addEventListener("scroll", draw);
  box.addEventListener("focus", draw);
  box.addEventListener("blur", () => { hideTip(); draw(); });
  const wheel = (event) => {
    const zooms = event.ctrlKey || event.metaKey || (document.activeElement === box && !event.shiftKey && Math.abs(event.deltaY) > Math.abs(event.deltaX));
    const moves = !zooms && (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY));
    if (!zooms && !moves) return;
    event.preventDefault();
    if (moves) return move((event.deltaX || event.deltaY) / 1000);
    const { left, t } = scale(event.currentTarget.clientWidth), x = event.clientX - event.currentTarget.getBoundingClientRect().left;
    zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.006), x >= left ? t(x) : undefined);
    hideTip();
  };
  box.addEventListener("wheel", wheel, { passive: false });
  for (const lane of lanes) {
    lane.canvas.addEventListener("wheel", wheel, { passive: false });
    lane.canvas.addEventListener("pointermove", (event) => {
      const { left, t } = scale(lane.canvas.clientWidth), at = t(event.offsetX);
      hideTip();
      if (event.offsetX < left) return;
      steps(lane, at, at + 1, ([start, mean, most, waiting, limit], end) => {
        if (start <= at && at <= end) showTip([strong(lane.name), facts([["slots out", mean === most ? `${most} of ${limitOf(limit)}` : `${mean.toFixed(1)} on average, ${most} at most, of ${limitOf(limit)}`], ["waiting", whole(waiting)], ...lane.halts.filter(([from, to]) => from <= at && at <= to).slice(0, 1).map(([from, to, why]) => ["granting nothing", `${why} for ${time(to - from)}`]), ["at", time(at)], ["for", time(end - start)]])], event.clientX, event.clientY);
      });
    });
    lane.canvas.addEventListener("pointerleave", hideTip);
  }
  box.addEventListener("dblclick", (event) => { pointAt(event); zoom(0.4, pointer.t === null ? undefined : pointer.t); });
  box.addEventListener("keydown", (event) => {
    const at = rows.indexOf(chosen), step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "+" || event.key === "=") zoom(0.6);
    else if (event.key === "-" || event.key === "_") zoom(1 / 0.6);
    else if (event.key === "0" || event.key === "Home") setView(0, END);
    else if (event.key === "ArrowLeft") move(-0.2);
    else if (event.key === "ArrowRight") move(0.2);
    else if (step && rows.length) {
      const one = rows[at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + step))];
      choose(one);
      scrollToRow(one);
      const place = box.getBoundingClientRect();
      showTip(tipOf(one, null, 0), place.left + scale(box.clientWidth).left, place.top + rowTop(rows.indexOf(one)) + rowHeight);
    } else if (event.key === "Enter" && chosen) findInTable(chosen);
    else if (event.key === "Escape") { hideTip(); choose(null); box.blur(); }
    else return;
    event.preventDefault();
  });
  const seek = (event) => {
    if (event.type === "pointerdown") overview.setPointerCapture(event.pointerId);
    else if (!overview.hasPointerCapture(event.pointerId)) return;
    const t = scale(overview.clientWidth, 0, END).t(event.offsetX), half = (view.to - view.from) / 2;
    setView(t - half, t + half);
  };
  overview.addEventListener("pointerdown", seek);
  overview.addEventListener("pointermove", seek);
  $("zoom-in").addEventListener("click", () => zoom(0.6));
  $("zoom-out").addEventListener("click", () => zoom(1 / 0.6));
  $("zoom-all").addEventListener("click", () => setView(0, END));
  $("search").addEventListener("input", (event) => { wanted = event.target.value; filter(); });
  $("filter").addEventListener("submit", (event) => event.preventDefault());
  $("more").addEventListener("click", () => { limit += 200; fillTable(); });
  $("theme").addEventListener("click", () => { theme = isDark() ? "light" : "dark"; setTheme(); });
  prefersDark.addEventListener("change", setTheme);
  addEventListener("resize", draw);
}

function findInTable(one) {
  while (!$(`session-${one.number}`) && limit < found.length) { limit += 200; fillTable(); }
  const row = $(`session-${one.number}`);
  if (!row) return;
  row.scrollIntoView({ block: "center" });
  row.querySelector("button").focus();
}

drawSummary();
drawHistogram("waits", log.waits, "wait");
drawHistogram("generations", log.generations, "call");
drawOutcomes();
drawHead();
$("rows-box").style.height = `${Math.max(200, Math.min(640, sessions.length * 22 + AXIS + 8))}px`;
listen();
filter();
if (sessions.length > 80) {
  // too many for one look: the last ones, and the overview says where they are
  const some = byTime.slice(-45), from = some[0].opened;
  setView(from - (END - from) * 0.02, END);
}
setTheme();
drawNow();
