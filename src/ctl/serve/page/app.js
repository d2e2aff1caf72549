"use strict";

// The page of `trcctl serve`. It asks for the state of the run, follows the output of units, and
// draws both. Whatever comes from a unit becomes text, never HTML.

// ---- elements ------------------------------------------------------------------------------

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

/** Sets attributes: `text` is the text, `on…` a listener, and false or null leaves one out. */
function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") {
      if (node.textContent !== value) node.textContent = value;
    } else if (name.startsWith("on")) {
      node.addEventListener(name.slice(2), value);
    } else if (value === false || value === null || value === undefined) {
      node.removeAttribute(name);
    } else if (node.getAttribute(name) !== String(value)) {
      node.setAttribute(name, value === true ? "" : value);
    }
  }
  return node;
}

function el(tag, attributes = {}, ...children) {
  const node = set(document.createElement(tag), attributes);
  node.append(...children);
  return node;
}

function svg(tag, attributes = {}, ...children) {
  const node = set(document.createElementNS(SVG, tag), attributes);
  node.append(...children);
  return node;
}

// ---- words ---------------------------------------------------------------------------------

/** A time in its two largest parts, as `trcctl status` shows it. */
function span(ms) {
  const s = Math.floor(ms / 1000);
  const [m, h, d] = [Math.floor(s / 60), Math.floor(s / 3600), Math.floor(s / 86400)];
  if (d > 0) return `${d}d ${h % 24}h`;
  if (h > 0) return `${h}h ${m % 60}m`;
  if (m > 0) return `${m}m ${s % 60}s`;
  if (s >= 10) return `${s}s`;
  return `${s}.${Math.floor((ms % 1000) / 100)}s`;
}

const mebibytes = (bytes) => `${(bytes / 1048576).toFixed(1)} MiB`;
const pad = (number) => String(number).padStart(2, "0");
const clock = (date) => `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;

/** How the states looked in which a unit has been. How its present state looks comes from the server,
 * with the word for it. */
const LOOKS = {
  ready: "good", running: "good", watching: "pending", starting: "pending", retrying: "pending",
  reloading: "pending", stopping: "pending", finishing: "pending", waiting: "dim", scheduled: "dim", idle: "dim", held: "asked", backoff: "bad",
  failed: "bad", ended: "dim",
};

const HEALTH = {
  ready: "good", degraded: "asked", starting: "pending", stopping: "pending", unhealthy: "bad",
};

/** Why a unit is not up. */
function whyOf(unit) {
  const end = unit.last_end && `${unit.last_end.why} ${span(unit.last_end.ago_ms)} ago`;
  if (unit.why && unit.phase === "backoff" && end && unit.deadline_ms !== undefined) {
    return `${end}; trc starts it again in ${span(unit.deadline_ms)}`;
  }
  return unit.why || "";
}

// ---- what is known -------------------------------------------------------------------------

const known = {
  boot: null,
  generation: null,
  began: 0,
  units: new Map(),
  edges: [],
  laid: null,
  happened: null,
  spans: new Map(),
  chosen: new Set(),
  only: null,
};

const hues = new Map();

/** The colour of a unit: each new one is far from those before it. */
function hue(name) {
  if (!hues.has(name)) hues.set(name, Math.round((205 + hues.size * 137.5) % 360));
  return hues.get(name);
}

// ---- asking --------------------------------------------------------------------------------

/** An error that the server has explained, or that the network has not. */
class Problem extends Error {
  constructor(status, code, detail) {
    super(detail);
    Object.assign(this, { status, code });
  }
}

async function ask(target, options = {}) {
  let answer;
  try {
    answer = await fetch(target, { cache: "no-store", signal: AbortSignal.timeout(15000), ...options });
  } catch (why) {
    throw new Problem(0, "offline", "The server of this page does not answer.");
  }
  const kind = answer.headers.get("content-type") || "";
  let body;
  try {
    body = await answer.json();
  } catch (why) {
    if (!(why instanceof SyntaxError)) throw new Problem(0, "offline", "The server of this page has not sent its whole answer.");
  }
  if (body && kind.startsWith("application/problem+json")) throw new Problem(answer.status, body.code, body.detail);
  // A proxy on the way has its own pages for errors and for passwords.
  if (!body || !answer.ok) {
    const status = [answer.status, answer.statusText].filter(Boolean).join(" ");
    throw new Problem(answer.status, "odd", `Something else than trcctl serve has answered, such as a proxy: HTTP ${status}, ${kind || "of no type"}.`);
  }
  return body;
}

const AGAIN = 2000;
const LONGEST = 10000;
const link = { timer: 0, failures: 0, busy: false, soon: false, hurries: false };

/** Asks for everything, and asks again later: sooner if all is well. */
async function refresh() {
  clearTimeout(link.timer);
  link.hurries = false;
  if (document.hidden) return;
  if (link.busy) {
    link.soon = true;
    return;
  }
  link.busy = true;
  try {
    const { about, health, units } = await ask("/state");
    if (about.boot_id !== known.boot) {
      forgetRun();
      known.boot = about.boot_id;
    }
    const graph = about.generation === known.generation ? null : await ask("/v1/graph");
    known.generation = about.generation;
    known.began = Date.now() - about.uptime_ms;
    known.units = new Map(units.map((unit) => [unit.name, unit]));
    if (graph !== null) readGraph(graph);
    // What has happened before is asked for when something has happened since.
    const happened = units.map((unit) => [unit.name, unit.phase, unit.ready, unit.restarts, unit.wanted].join()).join("\n");
    if (happened !== known.happened) {
      readTimeline(await ask("/v1/timeline"));
      known.happened = happened;
    }
    link.failures = 0;
    showLink("good", "live");
    showNotice(null);
    draw(about, health);
    openStreams();
    link.timer = setTimeout(refresh, AGAIN);
  } catch (why) {
    lost(why);
    if (!(why instanceof Problem)) throw why;
  } finally {
    link.busy = false;
    if (link.soon) {
      link.soon = false;
      refreshSoon();
    }
  }
}

/** Asks soon: something has happened. */
function refreshSoon() {
  if (link.failures > 0 || link.hurries) return;
  link.hurries = true;
  clearTimeout(link.timer);
  link.timer = setTimeout(refresh, 150);
}

function lost(why) {
  closeStreams();
  const wait = Math.min(LONGEST, 500 * 2 ** link.failures);
  link.failures += 1;
  document.body.classList.add("stale");
  showLink("bad", "not connected");
  showNotice(`${why.message.replace(/\.$/, "")}. This page tries again in ${span(wait)}.`);
  document.title = "not connected · trc";
  link.timer = setTimeout(refresh, wait);
}

function showLink(look, text) {
  $("link").dataset.look = look;
  set($("link-text"), { text });
}

function showNotice(text) {
  $("notice").hidden = text === null;
  if (text !== null) set($("notice-text"), { text });
  else document.body.classList.remove("stale");
}

/** Another run of trc has begun: what the last one said has another numbering. */
function forgetRun() {
  closeStreams();
  if (known.boot !== null) addLines([{ time: new Date().toISOString(), note: "a new run has begun" }]);
  known.generation = null;
  known.happened = null;
  for (const stream of streams) stream.last = null;
}

// ---- the streams ---------------------------------------------------------------------------

const streams = [
  { path: "/v1/logs", source: null, last: null, failures: 0, retry: 0 },
  { path: "/v1/events", source: null, last: null, failures: 0, retry: 0 },
];

function openStreams() {
  if (document.hidden) return;
  for (const stream of streams) {
    if (stream.source !== null || Date.now() < stream.retry) continue;
    const from = stream.last === null ? "n=500" : `since=${stream.last}`;
    const source = new EventSource(`${stream.path}?follow=true&${from}`);
    stream.source = source;
    source.onmessage = (message) => {
      stream.failures = 0;
      const record = JSON.parse(message.data);
      if (record.missing === undefined) stream.last = record.seq;
      arrived.push(record);
      if (arrived.length === 1) requestAnimationFrame(take);
    };
    // The browser would begin again at the beginning.
    source.onerror = () => {
      source.close();
      if (stream.source !== source) return;
      stream.source = null;
      stream.retry = Date.now() + Math.min(LONGEST, 250 * 2 ** stream.failures);
      stream.failures += 1;
      refreshSoon();
    };
  }
}

function closeStreams() {
  for (const stream of streams) {
    if (stream.source) stream.source.close();
    stream.source = null;
    stream.retry = 0;
  }
}

// ---- the log -------------------------------------------------------------------------------

const MOST = 3000;
const arrived = [];
const lines = [];
const log = { follows: true, unseen: 0, grep: "", own: true };

/** Removes the colours that programs write for terminals, and shows other control characters. */
function plain(text) {
  return text
    .replace(/\x1b\[[0-9;:?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)/g, "")
    .replace(/[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
}

/** The longest line that is shown, in UTF-16 code units: thousands of lines are kept. */
const LONGEST_LINE = 16384;

/** Returns the beginning of a text that is too long, and a note that it is cut. */
function cut(text) {
  if (text.length <= LONGEST_LINE) return [text, null];
  // Half of a character would become another one.
  const end = LONGEST_LINE - (/[\ud800-\udbff]/.test(text[LONGEST_LINE - 1]) ? 1 : 0);
  return [text.slice(0, end), ` … cut: the page shows ${end} of ${text.length} characters`];
}

function take() {
  const records = arrived.splice(0);
  addLines(records);
  if (records.some((record) => record.event !== undefined)) refreshSoon();
}

function lineOf(record) {
  const unit = record.unit || null;
  const line = { time: record.time || "", unit, own: record.line === undefined, text: "", node: null };
  let note = null;
  const date = new Date(record.time || Date.now());
  const [stage, name] = unit ? [unit.slice(0, unit.indexOf(".") + 1), unit.slice(unit.indexOf(".") + 1)] : ["", "trc"];
  if (record.note !== undefined) line.text = record.note;
  else if (record.missing !== undefined) line.text = "lines are missing here: trc keeps only the last ones";
  else {
    const [begin, rest] = cut(record.line === undefined ? record.message : record.line);
    [line.text, note] = [plain(begin), rest];
  }
  const is = record.missing !== undefined || record.note !== undefined ? "gap"
    : line.own ? `own ${record.level}` : record.stream;
  line.node = el("div", { class: `line ${is}`, title: `${record.time || ""} ${unit || "trc"}` },
    el("time", { text: record.time ? clock(date) : "" }),
    el("span", { class: "who", text: line.own ? "trc" : name, title: `${stage}${name}` }),
    el("span", { class: "what", text: line.text }, ...(note === null ? [] : [el("span", { class: "cut", text: note })])));
  // A part of a string may keep the whole one, unlike the text of an element.
  line.text = line.node.lastChild.firstChild?.data ?? "";
  if (!line.own) line.node.style.setProperty("--hue", hue(unit));
  line.node.hidden = !isWanted(line);
  return line;
}

function isWanted(line) {
  if (line.own && !log.own) return false;
  if (known.chosen.size > 0 && !known.chosen.has(line.unit)) return false;
  return log.grep === "" || line.text.toLowerCase().includes(log.grep);
}

/** Adds records by their time: two streams bring them. */
function addLines(records) {
  const box = $("lines");
  for (const record of records) {
    const line = lineOf(record);
    if (line.time === "" && lines.length > 0) line.time = lines[lines.length - 1].time;
    let at = lines.length;
    while (at > 0 && lines[at - 1].time > line.time) at -= 1;
    box.insertBefore(line.node, at < lines.length ? lines[at].node : null);
    lines.splice(at, 0, line);
    if (!line.node.hidden && !log.follows) log.unseen += 1;
  }
  const most = log.follows ? MOST : 2 * MOST;
  for (const line of lines.splice(0, Math.max(0, lines.length - most))) line.node.remove();
  box.classList.toggle("empty", lines.length === 0);
  showFollow();
  toEnd();
}

function toEnd() {
  if (log.follows) $("log").scrollTop = $("log").scrollHeight;
}

function follow(follows) {
  log.follows = follows;
  log.unseen = 0;
  showFollow();
  toEnd();
}

function showFollow() {
  const text = log.follows ? "Pause" : log.unseen > 0 ? `Follow · ${log.unseen} new` : "Follow";
  set($("follow"), { text, "aria-pressed": String(log.follows) });
}

function filterLines() {
  for (const line of lines) line.node.hidden = !isWanted(line);
  toEnd();
}

function choose(name) {
  if (known.chosen.has(name)) known.chosen.delete(name);
  else known.chosen.add(name);
  showChosen();
}

function showChosen() {
  const chips = [...known.chosen].map((name) => {
    const chip = el("button", { type: "button", class: "chip", "aria-label": `Stop filtering by ${name}`, text: name, onclick: () => choose(name) });
    chip.style.setProperty("--hue", hue(name));
    return chip;
  });
  $("chips").replaceChildren(...chips);
  for (const [name, row] of rows) {
    set(row.name, { "aria-pressed": String(known.chosen.has(name)) });
    row.tr.classList.toggle("chosen", known.chosen.has(name));
  }
  for (const [name, node] of nodes) set(node.g, { "aria-pressed": String(known.chosen.has(name)) });
  lightEdges(null);
  filterLines();
}

// ---- the units -----------------------------------------------------------------------------

const rows = new Map();

function draw(about, health) {
  const look = HEALTH[health.state] || "pending";
  $("health").dataset.look = look;
  set($("health-state"), { text: health.state });
  const why = [health.unit, health.why].filter(Boolean).join(" ");
  set($("health-why"), { text: why, title: why });
  const count = known.units.size;
  const facts = [`${count} ${count === 1 ? "unit" : "units"}`, `${about.phase} for ${span(about.uptime_ms)}`];
  if (about.generation > 0) facts.push(`reloaded ${about.generation} ×`);
  facts.push(`trc ${about.version}`);
  $("facts").replaceChildren(...facts.map((text) => el("span", { text })));
  document.title = `${health.state} · trc`;
  // The names in the log have a column as wide as the longest of them.
  const longest = Math.max(6, ...[...known.units.keys()].map((name) => name.length - name.indexOf(".") - 1));
  $("log").style.setProperty("--who", Math.min(16, longest));
  drawCounts();
  drawRows();
  drawAxis();
  drawGraph();
}

function drawCounts() {
  const counts = new Map();
  for (const unit of known.units.values()) {
    const { state: word, look } = unit;
    const count = counts.get(word) || { look, number: 0 };
    count.number += 1;
    counts.set(word, count);
  }
  if (known.only !== null && !counts.has(known.only)) known.only = null;
  const buttons = [...counts].map(([word, { look, number }]) => {
    const id = `count-${word}`;
    const node = $(id) || el("button", { type: "button", id, class: "count", onclick: () => {
      known.only = known.only === word ? null : word;
      drawCounts();
      drawRows();
    } });
    set(node, { text: `${number} ${word}`, "data-look": look, "aria-pressed": String(known.only === word) });
    return node;
  });
  const box = $("counts");
  if (buttons.length !== box.children.length || buttons.some((node, at) => box.children[at] !== node)) {
    box.replaceChildren(...buttons);
  }
}

function newRow(name) {
  const dot = name.indexOf(".");
  const row = {
    name: el("button", { type: "button", class: "name", "aria-pressed": "false", title: `Show only the lines of ${name}`, onclick: () => choose(name) },
      el("span", { class: "dot", "aria-hidden": "true" }),
      el("span", { class: "stage", text: name.slice(0, dot + 1) }),
      el("span", { class: "short", text: name.slice(dot + 1) })),
    about: el("span", { class: "about" }),
    state: el("td", { class: "state" }),
    since: el("td", { class: "num since" }),
    track: svg("svg", { class: "spans", role: "img" }),
    restarts: el("td", { class: "num restarts" }),
    memory: el("td", { class: "num memory" }),
    cpu: el("td", { class: "num cpu" }),
    acts: el("td", { class: "acts" }),
    why: el("td", { colspan: 8 }),
  };
  row.name.style.setProperty("--hue", hue(name));
  row.tr = el("tr", { class: "unit" }, el("th", { scope: "row" }, row.name, row.about), row.state, row.since,
    el("td", { class: "track" }, row.track), row.restarts, row.memory, row.cpu, row.acts);
  row.reason = el("tr", { class: "reason" }, row.why);
  return row;
}

function drawRows() {
  const order = [];
  for (const [name, unit] of known.units) {
    if (!rows.has(name)) rows.set(name, newRow(name));
    const row = rows.get(name);
    const { state: word, look } = unit;
    const why = whyOf(unit);
    row.tr.dataset.look = row.reason.dataset.look = look;
    row.tr.dataset.unit = name;
    set(row.about, { text: unit.description || "" });
    set(row.state, { text: word });
    set(row.since, { text: span(unit.since_ms) });
    set(row.restarts, { text: unit.restarts > 0 ? `${unit.restarts} ×` : "", title: "restarts by its policy" });
    set(row.memory, { text: unit.process ? mebibytes(unit.process.memory) : "" });
    set(row.cpu, { text: unit.process ? span(unit.process.cpu_ms) : "" });
    set(row.why, { text: why });
    const shown = known.only === null || known.only === word;
    row.tr.hidden = !shown;
    row.reason.hidden = !shown || why === "";
    drawActs(row, name, word);
    drawTrack(row.track, name, unit);
    order.push(row.tr, row.reason);
  }
  for (const [name, row] of rows) {
    if (known.units.has(name)) continue;
    row.tr.remove();
    row.reason.remove();
    rows.delete(name);
    known.chosen.delete(name);
  }
  const box = $("rows");
  order.forEach((tr, at) => {
    if (box.children[at] !== tr) box.insertBefore(tr, box.children[at] || null);
  });
}

// ---- the timeline --------------------------------------------------------------------------

/** Reads the spans of each unit: the state, when it began and when it ended, in milliseconds since
 * 1970, and why. A span of trc is a phase, in which the unit may have become ready. */
function readTimeline(timeline) {
  const began = Date.now() - timeline.now_ms;
  const at = (ms) => (ms === undefined ? null : began + ms);
  known.spans = new Map();
  for (const { name, spans } of timeline.units) {
    const unit = known.units.get(name);
    const all = [];
    for (const { phase, from_ms, to_ms, ready_ms, why } of spans) {
      const runs = phase === "running" || phase === "watching";
      const waits = runs && unit && unit.ready !== undefined;
      if (runs && ready_ms !== undefined) {
        all.push({ state: "starting", from: at(from_ms), to: at(ready_ms), why });
        all.push({ state: "ready", from: at(ready_ms), to: at(to_ms), why: "" });
      } else {
        all.push({ state: waits ? "starting" : phase, from: at(from_ms), to: at(to_ms), why });
      }
    }
    known.spans.set(name, all);
  }
}

/** The last span is what the unit is now: only its state tells whether it was stopped by hand, has
 * failed, or fails its health check. */
function spansOf(name, unit) {
  const spans = known.spans.get(name) || [];
  const last = spans[spans.length - 1];
  const { state, look } = unit;
  if (last === undefined) return [{ state, look, from: Date.now() - unit.since_ms, to: null, why: "" }];
  return [...spans.slice(0, -1), { ...last, state, look, why: unit.why || last.why }];
}

/** Returns the time that the timeline shows: from when, and until when. */
function window_() {
  const now = Date.now();
  const value = $("span").value;
  if (value === "run") return [known.began, now];
  if (value !== "start") return [Math.max(known.began, now - Number(value)), now];
  // Until every unit had begun to be what it is meant to be, or a moment longer.
  const firsts = [...known.spans.values()].map((spans) =>
    spans.find(({ state }) => LOOKS[state] === "good" || state === "ended"));
  const end = Math.max(known.began + 1000, ...firsts.filter(Boolean).map(({ from }) => from));
  return [known.began, Math.min(now, known.began + (end - known.began) * 1.15)];
}

/** The width of the timeline, in pixels: that of its column without its padding. */
function trackWidth() {
  const column = $("axis").parentElement;
  const style = getComputedStyle($("axis"));
  return Math.max(60, column.clientWidth - 2 * parseFloat(style.left));
}

function drawAxis() {
  const [from, to] = window_();
  const width = trackWidth();
  const steps = [100, 200, 500, 1e3, 2e3, 5e3, 1e4, 3e4, 6e4, 12e4, 3e5, 6e5, 18e5, 36e5, 108e5, 216e5, 432e5, 864e5, 1728e5, 6048e5];
  const step = steps.find((step) => (to - from) / step <= width / 70) || steps[steps.length - 1];
  const marks = [];
  const relative = to - from < 60000;
  const first = relative ? from : Math.ceil((from - new Date().getTimezoneOffset() * 60000) / step) * step + new Date().getTimezoneOffset() * 60000;
  for (let at = first; at <= to; at += step) {
    const x = ((at - from) / (to - from)) * width;
    if (x > width - 24) break;
    const date = new Date(at);
    const text = relative ? `${(at - known.began) / 1000} s`
      : step >= 864e5 ? `${date.getDate()}.${date.getMonth() + 1}.`
        : step < 60000 ? clock(date) : clock(date).slice(0, 5);
    marks.push(svg("line", { x1: x, x2: x, y1: 12, y2: 16 }), svg("text", { x, y: 9, "text-anchor": x < 20 ? "start" : "middle", text }));
  }
  set($("axis"), { width, height: 16, viewBox: `0 0 ${width} 16` }).replaceChildren(...marks);
}

const SHAPES = { dim: [7, 2], pending: [4, 8], good: [2, 12], bad: [2, 12], asked: [6, 4] };

function drawTrack(track, name, unit) {
  const [from, to] = window_();
  const width = trackWidth();
  const now = Date.now();
  const parts = [];
  const told = [];
  for (const span_ of spansOf(name, unit)) {
    const [begins, ends] = [Math.max(from, span_.from), Math.min(to, span_.to === null ? now : span_.to)];
    if (ends < from || begins > to) continue;
    const look = span_.look || LOOKS[span_.state] || "pending";
    const [y, height] = SHAPES[look];
    const x = ((begins - from) / (to - from)) * width;
    const long = Math.max(2, ((ends - begins) / (to - from)) * width);
    const length = span((span_.to === null ? now : span_.to) - span_.from);
    const title = `${span_.state} for ${length} from ${clock(new Date(span_.from))}${span_.why ? `: ${span_.why}` : ""}`;
    parts.push(svg("rect", { class: look, x: x.toFixed(1), y, width: long.toFixed(1), height, rx: Math.min(2, height / 2) }, svg("title", { text: title })));
    told.push(`${span_.state} for ${length}`);
  }
  set(track, { width, height: 16, viewBox: `0 0 ${width} 16`, "aria-label": `${unit.name}: ${told.slice(-5).join(", ")}` });
  track.replaceChildren(...parts);
}

// ---- the graph -----------------------------------------------------------------------------

const nodes = new Map();
const arrows = [];
const HEIGHT = 26, GAP = 8, BETWEEN = 46, EDGE = 12;

/** Reads the edges: each from a unit to one that waits for it. */
function readGraph(graph) {
  known.edges = graph.edges.filter(({ written }) => written).map(({ from, to, condition }) => [from, to, condition]);
  known.laid = null;
}

/** Assigns each unit with an edge to a layer, so that all arrows point to the right, and returns the
 * layers. Arrows that pass a layer have a place in it. */
function layers(names, edges) {
  const after = new Map(names.map((name) => [name, []]));
  for (const [from, to] of edges) after.get(to).push(from);
  const rank = new Map();
  const rankOf = (name, above) => {
    if (rank.has(name)) return rank.get(name);
    if (above.has(name)) return 0;
    above.add(name);
    const value = Math.max(-1, ...after.get(name).map((other) => rankOf(other, above))) + 1;
    above.delete(name);
    rank.set(name, value);
    return value;
  };
  const all = [];
  const place = (layer, item) => (all[layer] ||= []).push(item);
  for (const name of names) place(rankOf(name, new Set()), { name, up: [], down: [] });
  const items = new Map(all.flat().filter(Boolean).map((item) => [item.name, item]));
  const paths = edges.map(([from, to, condition]) => {
    const path = [items.get(from)];
    for (let layer = rank.get(from) + 1; layer < rank.get(to); layer += 1) {
      const item = { name: null, up: [], down: [] };
      place(layer, item);
      path.push(item);
    }
    path.push(items.get(to));
    for (let at = 1; at < path.length; at += 1) {
      path[at].up.push(path[at - 1]);
      path[at - 1].down.push(path[at]);
    }
    return { from, to, condition, path };
  });
  // Items go to the middle of their neighbours, which leaves few crossings.
  const settle = (layer, side) => {
    layer.forEach((item, at) => {
      const of = item[side].map((other) => other.at);
      item.want = of.length > 0 ? of.reduce((sum, one) => sum + one, 0) / of.length : item.at ?? at;
    });
    layer.sort((one, other) => one.want - other.want);
    layer.forEach((item, at) => { item.at = at; });
  };
  all.forEach((layer) => layer.forEach((item, at) => { item.at = at; }));
  for (let sweep = 0; sweep < 6; sweep += 1) {
    all.forEach((layer) => settle(layer, "up"));
    [...all].reverse().forEach((layer) => settle(layer, "down"));
  }
  return [all, paths];
}

const widthOf = (name) => Math.min(190, 26 + 7.3 * name.length);

function layOut() {
  const names = [...known.units.keys()];
  const edges = known.edges.filter(([from, to]) => known.units.has(from) && known.units.has(to));
  const joined = new Set(edges.flatMap(([from, to]) => [from, to]));
  const [all, paths] = layers(names.filter((name) => joined.has(name)), edges);
  const heights = all.map((layer) => layer.reduce((sum, item) => sum + (item.name ? HEIGHT : EDGE) + GAP, -GAP));
  const tallest = Math.max(0, ...heights);
  let x = 8;
  all.forEach((layer, at) => {
    const width = Math.max(20, ...layer.map((item) => (item.name ? widthOf(item.name) : 0)));
    let y = 8 + (tallest - heights[at]) / 2;
    for (const item of layer) {
      const height = item.name ? HEIGHT : EDGE;
      Object.assign(item, { x, y: y + height / 2, width });
      y += height + GAP;
    }
    x += width + BETWEEN;
  });
  const drawn = svg("svg", { role: "group", "aria-labelledby": "graph-title" });
  const defs = svg("defs", {}, svg("marker", { id: "tip", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" }, svg("path", { d: "M1 1 7 4 1 7", class: "tip" })));
  drawn.append(defs);
  nodes.clear();
  arrows.length = 0;
  for (const { from, to, condition, path } of paths) {
    let d = "";
    path.forEach((item, at) => {
      if (at === 0) { d = `M${item.x + widthOf(from)} ${item.y}`; return; }
      const before = path[at - 1];
      const start = at === 1 ? before.x + widthOf(from) : before.x + before.width;
      const end = item.x - (item.name ? 2 : 0);
      const half = Math.max(16, (end - start) / 2);
      d += ` C${start + half} ${before.y} ${end - half} ${item.y} ${end} ${item.y}`;
      if (!item.name) d += ` L${item.x + item.width} ${item.y}`;
    });
    const line = svg("path", { d, class: "edge", "marker-end": "url(#tip)" }, svg("title", { text: `${to} starts when ${from} is ${condition}` }));
    arrows.push({ from, to, line });
    drawn.append(line);
  }
  const width = Math.max($("graph").clientWidth - 24, x - BETWEEN + 8);
  let right = 0;
  let [left, top] = [8, tallest > 0 ? tallest + 26 : 8];
  const place = (name, at, y) => {
    const g = svg("g", { class: "node", role: "button", tabindex: 0, "aria-pressed": String(known.chosen.has(name)), transform: `translate(${at} ${y - HEIGHT / 2})` });
    const label = name.length > 24 ? `${name.slice(0, 23)}…` : name;
    const title = svg("title");
    g.append(title, svg("rect", { width: widthOf(name), height: HEIGHT, rx: 6 }), svg("circle", { cx: 13, cy: HEIGHT / 2, r: 4 }), svg("text", { x: 23, y: HEIGHT / 2 + 4, text: label }));
    set(g, { onclick: () => choose(name), onmouseenter: () => lightEdges(name), onmouseleave: () => lightEdges(null), onfocus: () => lightEdges(name), onblur: () => lightEdges(null), onkeydown: (key) => {
      if (key.key !== "Enter" && key.key !== " ") return;
      key.preventDefault();
      choose(name);
    } });
    nodes.set(name, { g, title });
    drawn.append(g);
  };
  for (const item of all.flat()) if (item.name) place(item.name, item.x, item.y);
  // Units that wait for nothing, and that nothing waits for, stand in rows below.
  const free = names.filter((name) => !joined.has(name));
  free.forEach((name) => {
    if (left > 8 && left + widthOf(name) > width) {
      left = 8;
      top += HEIGHT + GAP;
    }
    place(name, left, top + HEIGHT / 2);
    left += widthOf(name) + GAP;
    right = Math.max(right, left);
  });
  const height = free.length > 0 ? top + HEIGHT + 8 : tallest + 16;
  const full = Math.max(x - BETWEEN + 8, right);
  set(drawn, { viewBox: `0 0 ${full} ${height}`, width: full, height });
  $("graph").replaceChildren(drawn);
  known.laid = names.join("\n");
  lightEdges(null);
}

function drawGraph() {
  if (known.laid !== [...known.units.keys()].join("\n")) layOut();
  for (const [name, { g, title }] of nodes) {
    const unit = known.units.get(name);
    if (!unit) continue;
    const { state: word, look } = unit;
    g.dataset.look = look;
    set(g, { "aria-label": `${name}, ${word}` });
    set(title, { text: `${name}: ${word}${unit.why ? `, ${unit.why}` : ""}` });
  }
}

/** Emphasizes the arrows of a unit, or of the chosen ones. */
function lightEdges(name) {
  const of = name === null ? known.chosen : new Set([name]);
  for (const { from, to, line } of arrows) line.classList.toggle("lit", of.has(from) || of.has(to));
  $("graph").classList.toggle("lights", of.size > 0);
}

// ---- changes -------------------------------------------------------------------------------

const operates = document.documentElement.dataset.operate === "yes";
const KEPT = "trc-token";

function drawActs(row, name, word) {
  if (!operates) return;
  const stage = name.split(".")[0];
  const takes = stage === "async" || stage === "sync";
  const idle = ["held", "failed", "ended", "waiting", "scheduled", "idle"].includes(word);
  const acts = !takes ? [] : idle ? ["start"] : ["stop", "restart"];
  if (row.acts.dataset.acts === acts.join()) return;
  row.acts.dataset.acts = acts.join();
  row.acts.replaceChildren(...acts.map((act) => el("button", {
    type: "button", class: "act", text: act[0].toUpperCase() + act.slice(1), "aria-label": `${act} ${name}`, "data-act": act,
    onclick: () => change(name, act),
  })));
}

async function change(name, act) {
  if (act === "stop" && !(await isSure(name))) return;
  const token = sessionStorage.getItem(KEPT) || (await askToken());
  if (!token) return;
  try {
    let job = await ask(`/v1/units/${encodeURIComponent(name)}/${act}`, { method: "POST", headers: { Authorization: `Bearer ${token}` } });
    refreshSoon();
    for (let round = 0; job.status === "running" && round < 240; round += 1) {
      if (round === 1) toast(`${name}: ${act} in progress`, "pending");
      await new Promise((done) => setTimeout(done, round < 8 ? 250 : 1000));
      job = await ask(`/v1/jobs/${job.id}`);
    }
    toast(job.message, job.status === "done" ? "good" : job.status === "running" ? "pending" : "bad");
  } catch (why) {
    if (!(why instanceof Problem)) throw why;
    if (why.code === "unauthorized") {
      sessionStorage.removeItem(KEPT);
      showLock();
    }
    toast(why.message, "bad");
  }
  refreshSoon();
}

function isSure(name) {
  const dialog = $("sure");
  set($("sure-title"), { text: `Stop ${name}?` });
  set($("sure-text"), { text: "It stays stopped until somebody starts it: neither a restart policy nor a health check does." });
  set($("sure-yes"), { text: `Stop ${name}` });
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true }));
}

function askToken() {
  const dialog = $("ask");
  $("token").value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => {
    const token = dialog.returnValue === "given" ? $("token").value.trim() : "";
    $("token").value = "";
    if (token) sessionStorage.setItem(KEPT, token);
    showLock();
    done(token);
  }, { once: true }));
}

function showLock() {
  $("lock").hidden = !operates;
  set($("lock"), { text: sessionStorage.getItem(KEPT) ? "Lock" : "Unlock" });
}

function toast(text, look) {
  const node = el("p", { class: "toast", "data-look": look }, el("span", { class: "dot", "aria-hidden": "true" }), el("span", { text }));
  $("toasts").append(node);
  while ($("toasts").children.length > 4) $("toasts").firstChild.remove();
  setTimeout(() => node.remove(), look === "bad" ? 12000 : 6000);
}

// ---- the beginning -------------------------------------------------------------------------

$("follow").onclick = () => follow(!log.follows);
$("log").addEventListener("scroll", () => {
  const box = $("log");
  const end = box.scrollHeight - box.scrollTop - box.clientHeight < 24;
  if (end !== log.follows) follow(end);
});
$("grep").oninput = () => {
  log.grep = $("grep").value.toLowerCase();
  filterLines();
};
$("own").onchange = () => {
  log.own = $("own").checked;
  filterLines();
};
$("span").onchange = () => {
  drawAxis();
  drawRows();
};
$("notice-again").onclick = () => {
  link.failures = 0;
  refresh();
};
$("lock").onclick = () => {
  if (!sessionStorage.getItem(KEPT)) {
    askToken();
    return;
  }
  sessionStorage.removeItem(KEPT);
  showLock();
};
$("ask-cancel").onclick = () => $("ask").close("");
$("ask-form").onsubmit = () => { $("ask").returnValue = "given"; };
// A page that nobody looks at costs trc nothing.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    refresh();
    return;
  }
  closeStreams();
  clearTimeout(link.timer);
});
new ResizeObserver(() => {
  if (known.units.size === 0) return;
  drawAxis();
  drawRows();
  toEnd();
}).observe($("units-panel"));
document.documentElement.classList.toggle("operates", operates);
showLock();
addLines([]);
refresh();
