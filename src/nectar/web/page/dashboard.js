// The page of `nectar dashboard`. Whatever comes from a handler is put into the page as text, and never as markup.
"use strict";

const EACH = 2000; // milliseconds between two looks
const SELDOM = 5; // every so many looks the plots are drawn anew
const MINUTES = 360, HEIGHT = 96, LEFT = 52, BOTTOM = 18;
const SVG = "http://www.w3.org/2000/svg";
const page = Object.fromEntries([...document.querySelectorAll("[id]")].map((element) => [element.id, element]));
const rows = new Map();
let looks = 0, chosen = null, seen = "", table = null, plots = [];

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children); // a string becomes a text
  return element;
}

function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// --- words for numbers

function span(seconds) {
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["m", 60]]) {
    if (seconds >= 2 * length) return `${Math.round(seconds / length)} ${unit}`;
  }
  return `${Math.max(0, Math.round(seconds))} s`;
}

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  return seconds < 1 ? `${+(seconds * 1000).toPrecision(3)} ms` : `${+seconds.toPrecision(3)} s`;
}

function size(bytes) {
  return bytes ? `${(bytes / 2 ** 20).toFixed(1)} MiB` : "–";
}

function moment(seconds) {
  const at = new Date(seconds * 1000);
  return new Date(at - at.getTimezoneOffset() * 60000).toISOString().slice(0, 19).replace("T", " "); // this machine's own time
}

function clock(minute) {
  const at = new Date(minute * 60000);
  return `${String(at.getHours()).padStart(2, "0")}:${String(at.getMinutes()).padStart(2, "0")}`;
}

// --- the table

function describe(handler) {
  const since = handler.since && `since ${moment(handler.since)}`;
  return [handler.what, since, handler.cure].filter(Boolean).join("; ");
}

function spark(hour) {
  const most = Math.max(1, ...hour);
  const bars = hour.map((count, at) => count && draw("rect", {
    x: at * 2, width: 1.6, y: 20 - Math.max(1, count / most * 20), height: Math.max(1, count / most * 20),
  })).filter(Boolean);
  const total = hour.reduce((sum, count) => sum + count, 0);
  return draw("svg", { class: "spark", width: 120, height: 20, role: "img", "aria-label": `${total} answers` }, ...bars);
}

function fill(row, handler, now) {
  const daemon = handler.daemon;
  const counts = daemon ? daemon.counts : {};
  const told = (value) => (daemon ? String(value) : "–");
  const oldestRun = daemon ? Math.min(...daemon.runs.map((run) => run.since)) : Infinity;
  const latency = (daemon && daemon.latency) || {};
  row.className = `${handler.well ? "well" : "unwell"} ${handler.name === chosen ? "chosen" : ""}`;
  row.state.className = `state ${handler.state}`;
  const texts = {
    state: handler.state,
    what: describe(handler),
    up: handler.started ? span(now - handler.started) : "–",
    answered: told((counts.success || 0) + (counts.error || 0) + (counts.timeout || 0)),
    errors: told((counts.error || 0) + (counts.timeout || 0)),
    waiting: told(daemon && daemon.waiting),
    oldest: daemon && daemon.waiting ? span(daemon.oldest) : "–",
    busy: Number.isFinite(oldestRun) ? span(now - oldestRun) : "–",
    memory: size(daemon && daemon.memory),
    half: duration(latency.p50),
    most: duration(latency.p99),
    nodes: handler.aliases.join(", ") || "–",
  };
  for (const [name, text] of Object.entries(texts)) if (row[name].textContent !== text) row[name].textContent = text;
  row.what.parentNode.hidden = texts.what === "";
  row.hour.replaceChildren(daemon ? spark(daemon.hour) : "–");
}

function addRow(name) { // a body of the table, of which a second line says what is wrong
  const row = make("tbody"), parts = {}, line = make("tr");
  line.append(make("td", {}, make("a", { href: `#${encodeURIComponent(name)}` }, name)));
  for (const part of ["state", "up", "answered", "errors", "waiting", "oldest", "busy", "memory", "half", "most", "hour", "nodes"]) {
    parts[part] = make("td", ["state", "hour", "nodes"].includes(part) ? {} : { class: "number" });
    line.append(parts[part]);
  }
  parts.what = make("td", { class: "what", colspan: line.children.length });
  row.append(line, make("tr", {}, parts.what));
  return Object.assign(row, parts);
}

function showTable() {
  const names = table.handlers.map((handler) => handler.name);
  for (const name of [...rows.keys()]) {
    if (!names.includes(name)) {
      rows.get(name).remove();
      rows.delete(name);
    }
  }
  table.handlers.forEach((handler, at) => {
    if (!rows.has(handler.name)) rows.set(handler.name, addRow(handler.name));
    const row = rows.get(handler.name);
    if (page.handlers.tBodies[at] !== row) page.handlers.insertBefore(row, page.handlers.tBodies[at] || null);
    fill(row, handler, table.now);
  });
  page.where.textContent = `${table.data_dir}, ${names.length} handler(s)`;
}

// --- one handler

function showFacts(handler) {
  const daemon = handler.daemon || {};
  const failed = daemon.last_failed && `${moment(daemon.last_failed.time)}, ${daemon.last_failed.alias} ${daemon.last_failed.comp_id}: `;
  const facts = {
    "Handler": handler.handler,
    "Process": handler.started && `${handler.pid}, since ${moment(handler.started)}${daemon.version ? `, nectar ${daemon.version}` : ""}`,
    "Now": (daemon.runs || []).map((run) => `${run.alias} ${run.comp_id}, for ${span(table.now - run.since)} of ${run.deadline} s`).join("; "),
    "Last answered": daemon.last_answered && moment(daemon.last_answered),
    "Last error": daemon.last_error && (failed || "") + daemon.last_error,
    "Ends without a stop": (daemon.deaths || []).length && `${daemon.deaths.length}, the last after ${moment(daemon.deaths.at(-1))}`,
  };
  const known = Object.entries(facts).filter(([, text]) => text);
  page.facts.replaceChildren(...known.flatMap(([label, text]) => [make("dt", {}, label), make("dd", {}, String(text))]));
}

function showLog(found) {
  seen = found.seen || "";
  if (!found.lines) return;
  const atEnd = page.log.scrollTop + page.log.clientHeight >= page.log.scrollHeight - 4;
  page.log.textContent = found.lines.join("\n");
  if (atEnd) page.log.scrollTop = page.log.scrollHeight;
}

// --- plots of six hours, a minute each

function quantile(bounds, pairs, part) {
  let left = pairs.reduce((sum, [, count]) => sum + count, 0) * part;
  for (const [index, count] of pairs) {
    left -= count;
    if (left <= 0) return bounds[index];
  }
  return null;
}

function ceiling(most) { // the next of 1, 2, 5, 10, …
  for (let power = 1; ; power *= 10) {
    for (const base of [1, 2, 5]) if (base * power >= most) return base * power;
  }
}

function steps(values, x, y) { // a line that pauses where there is no value
  let path = "", on = false;
  values.forEach((value, at) => {
    if (value !== null) path += `${on ? "V" : `M${x(at)} `}${y(value)}H${x(at + 1)}`;
    on = value !== null;
  });
  return path;
}

function drawPlot(title, series, first, ticks, y, body) {
  const width = Math.max(320, page.plots.clientWidth);
  const x = (at) => +(LEFT + at * (width - LEFT) / MINUTES).toFixed(1);
  const svg = draw("svg", { width, height: HEIGHT + BOTTOM, role: "img", "aria-label": title });
  for (const [value, label] of ticks) {
    svg.append(draw("line", { class: "grid", x1: LEFT, x2: width, y1: y(value), y2: y(value) }));
    svg.append(draw("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, label));
  }
  for (let at = 0; at < MINUTES; at++) {
    if (!clock(first + at).endsWith(":00")) continue;
    svg.append(draw("text", { x: x(at), y: HEIGHT + 14, "text-anchor": "middle" }, clock(first + at)));
    svg.append(draw("line", { class: "grid", x1: x(at), x2: x(at), y1: 0, y2: HEIGHT }));
  }
  svg.append(...body(x));
  const cross = draw("line", { class: "cross", y1: 0, y2: HEIGHT, visibility: "hidden" });
  svg.append(cross);
  const when = make("b");
  const keys = series.map((each) => make("span", { class: `key ${each.color}` }));
  const point = (at) => {
    when.textContent = at === null ? title : `${title}, ${clock(first + at)}`;
    series.forEach((each, number) => { keys[number].textContent = `${each.name}${at === null ? "" : ` ${each.tell(at)}`}`; });
    cross.setAttribute("visibility", at === null ? "hidden" : "visible");
    if (at !== null) for (const side of ["x1", "x2"]) cross.setAttribute(side, x(at + 0.5));
  };
  svg.addEventListener("pointermove", (event) => {
    const at = Math.floor((event.clientX - svg.getBoundingClientRect().left - LEFT) * MINUTES / (width - LEFT));
    if (at >= 0 && at < MINUTES) plots.forEach((plot) => plot.point(at));
  });
  svg.addEventListener("pointerleave", () => plots.forEach((plot) => plot.point(null)));
  point(null);
  return { figure: make("figure", {}, make("figcaption", {}, when, ...keys), svg), point };
}

function linear(most) {
  const top = ceiling(most);
  const y = (value) => +(HEIGHT - value / top * (HEIGHT - 8)).toFixed(1);
  return { y, ticks: [[0, "0"], ...(top > 1 ? [[top / 2, String(top / 2)]] : []), [top, String(top)]] };
}

function plotCounts(minutes, first) {
  const series = [["answered", "blue", 1], ["errors", "red", 2], ["timeouts", "orange", 3]].map(([name, color, field]) => ({
    name, color, field, tell: (at) => (minutes[at] ? minutes[at][field] : 0),
  }));
  const { y, ticks } = linear(Math.max(1, ...minutes.map((minute) => (minute ? minute[1] + minute[2] + minute[3] : 0))));
  return drawPlot("Answers a minute", series, first, ticks, y, (x) => {
    const bars = [];
    minutes.forEach((minute, at) => {
      let below = 0;
      for (const { field, color } of minute ? series : []) {
        const count = minute[field];
        if (!count) continue;
        const top = y(below + count), height = Math.max(1, y(below) - top);
        bars.push(draw("rect", { class: color, x: x(at), width: Math.max(1, x(at + 1) - x(at) - 0.5), y: top, height }));
        below += count;
      }
    });
    return bars;
  });
}

function plotLatency(minutes, first, bounds) {
  const parts = [["half within", "blue", 0.5], ["99 % within", "orange", 0.99]].map(([name, color, part]) => {
    const values = minutes.map((minute) => (minute ? quantile(bounds, minute[5], part) : null));
    return { name, color, values, tell: (at) => duration(values[at]) };
  });
  const low = Math.log10(bounds[0]);
  const high = Math.ceil(Math.max(-1, ...parts.flatMap(({ values }) => values.map((value) => (value === null ? -1 : Math.log10(value))))));
  const y = (value) => +(HEIGHT - (Math.log10(value) - low) / (high - low) * (HEIGHT - 8)).toFixed(1);
  const ticks = [];
  for (let power = Math.round(low); power <= high; power += high - low > 4 ? 2 : 1) ticks.push([10 ** power, duration(10 ** power)]);
  return drawPlot("From question to answer", parts, first, ticks, y, (x) => parts.map(({ values, color }) =>
    draw("path", { class: `line ${color}`, d: steps(values, x, y) })));
}

function plotQueue(minutes, first) {
  const waits = minutes.map((minute) => (minute ? minute[4] : 0));
  const { y, ticks } = linear(Math.max(1, ...waits));
  const series = [{ name: "at most", color: "blue", tell: (at) => waits[at] }];
  return drawPlot("Waiting", series, first, ticks, y, (x) => waits.map((count, at) => count && draw("rect", {
    class: "blue", x: x(at), width: x(at + 1) - x(at), y: y(count), height: HEIGHT - y(count),
  })).filter(Boolean));
}

function showHistory(found) {
  page.plotless.textContent = found.problem ? `There are no plots: ${found.problem}` : "";
  plots = [];
  if (!found.problem) {
    const first = Math.floor(Date.now() / 60000) - MINUTES + 1;
    const minutes = Array(MINUTES).fill(null);
    for (const minute of found.minutes) if (minute[0] - first in minutes) minutes[minute[0] - first] = minute;
    plots = [plotCounts(minutes, first), plotLatency(minutes, first, found.bounds), plotQueue(minutes, first)];
  }
  page.plots.replaceChildren(...plots.map(({ figure }) => figure));
}

// --- again and again

async function ask(what) {
  const response = await fetch(what, { cache: "no-store" });
  if (response.status === 403) throw new Error("this browser may not look any more; for a new address: nectar dashboard");
  if (!response.ok) throw new Error(`it failed (${response.status})`);
  return response.json();
}

function choose() {
  const wanted = decodeURIComponent(location.hash.slice(1));
  const names = table.handlers.map((handler) => handler.name);
  const name = names.includes(wanted) ? wanted : names[0] || null;
  if (name === chosen) return;
  chosen = name;
  seen = "";
  looks = 0;
  page.log.textContent = "";
  page.name.textContent = name || "";
  page.one.hidden = name === null;
}

async function look() {
  try {
    const found = await ask("handlers");
    if (found.problem) throw new Error(found.problem);
    table = found;
    choose();
    showTable();
    if (chosen !== null) {
      const name = chosen, path = encodeURIComponent(name);
      showFacts(table.handlers.find((handler) => handler.name === name));
      const history = looks++ % SELDOM === 0 ? await ask(`history/${path}`) : null;
      const log = await ask(`log/${path}?seen=${encodeURIComponent(seen)}`);
      if (name === chosen) { // nobody has chosen another one meanwhile
        if (history) showHistory(history);
        showLog(log);
      }
    }
    page.connection.className = "";
    page.connection.textContent = moment(table.now);
  } catch (error) {
    page.connection.className = "lost";
    page.connection.textContent = error instanceof TypeError ? "nectar dashboard has ended" : error.message;
  }
}

let timer = 0, round = 0;
async function go() {
  const ours = ++round;
  clearTimeout(timer);
  if (!document.hidden) await look();
  if (ours === round) timer = setTimeout(go, EACH);
}

addEventListener("hashchange", go);
addEventListener("resize", () => { looks = 0; });
document.addEventListener("visibilitychange", () => { if (!document.hidden) go(); });
go();
