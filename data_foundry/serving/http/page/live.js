// The live page: draws what /v1/status says, every two seconds. Text goes into the page as text nodes alone, never as
// markup, so whatever a reason or a name holds is shown as it stands.
"use strict";

const EVERY = 2000;
const STALE = 10000;
const KEYLESS = "asks for an API key";
const RECENT = 12; // entries of the history that are not folded away
const SVG = "http://www.w3.org/2000/svg";
const DRAWN = new Map(); // what each part was drawn from, so that only what changed is drawn anew
let answered = null; // when the gateway last answered
let timer = 0;

const byId = (id) => document.getElementById(id);

function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

function svg(kind, width, height, said, ...shapes) {
  const node = document.createElementNS(SVG, "svg");
  node.setAttribute("class", kind);
  node.setAttribute("viewBox", `0 0 ${width} ${height}`);
  node.setAttribute("preserveAspectRatio", "none");
  node.setAttribute("role", "img");
  node.setAttribute("aria-label", said);
  node.append(...shapes.flat());
  return node;
}

function shape(tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

const rect = (x, y, width, height, kind) => shape("rect", { x, y, width: Math.max(0, width), height: Math.max(0, height), class: kind });
const line = (x, y, kind, top = 0) => shape("line", { x1: x, x2: x, y1: top, y2: y, class: kind });

// Numbers as people read them.
const percent = (share, digits = 1) => (share === null || share === undefined ? "–" : `${(100 * share).toFixed(digits)} %`);
const whole = (count) => (count === null || count === undefined ? "–" : count.toLocaleString("en"));
const signed = (value, digits) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;
const short = (ms) => (ms >= 1000 ? `${(ms / 1000).toFixed(ms >= 10000 ? 0 : 1)} s` : `${ms >= 100 ? Math.round(ms) : ms.toFixed(ms >= 10 ? 0 : 1)} ms`);

function latency(bounds) {
  if (!bounds) return "–";
  if (bounds.at_most === null) return `over ${short(bounds.above)}`;
  const [low, high] = [short(bounds.above), short(bounds.at_most)];
  const unit = high.slice(high.indexOf(" "));
  return low.endsWith(unit) ? `${low.slice(0, low.indexOf(" "))}–${high}` : `${low}–${high}`;
}

function since(iso) {
  if (!iso) return "–";
  const seconds = Math.max(0, (Date.now() - Date.parse(iso)) / 1000);
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / 86400)} days ago`;
}

const when = (iso) => (iso ? new Date(iso).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }) : "–");

const GOOD = { production: "good", pass: "good", steady: "good", staging: "warn", drifting: "warn", hold: "blue", shadow: "blue",
  shifted: "warn", fail: "bad", rolled_back: "bad" };
const SAID = { rolled_back: "rolled back", not_judged: "not judged", none: "not heard", hold: "holds", pass: "passes", fail: "does harm" };
const badge = (word) => el("span", { class: `badge ${GOOD[word] || ""}` }, SAID[word] || word);
const version = (name) => el("span", { class: "version" }, name);

// What answers callers; a stage that nobody hears says nothing of that.
function standing(entry) {
  if (["production", "staging", "shadow", "rolled_back"].includes(entry.stage)) return badge(entry.stage);
  return el("span", { class: "badge" }, entry.not_served ? "not served" : "base answers");
}

const heard = (entry) => entry.traffic.day.calls > 0 || entry.trials.length > 0;

// One adapter.
function card(entry) {
  return el("article", { "aria-labelledby": `a-${entry.adapter}` },
    el("header", {},
      el("h3", { id: `a-${entry.adapter}` }, entry.adapter), standing(entry),
      el("span", { class: "muted" }, entry.title || "")),
    entry.not_served && el("p", { class: "notice warn" }, `Not served: ${entry.not_served}`),
    entry.error && el("p", { class: "notice bad" }, entry.error),
    heard(entry) ? sides(entry) : el("p", { class: "muted clip" }, entry.reason),
    versions(entry));
}

// Trials beside the rest, where there are some; drift takes their place otherwise.
function sides(entry) {
  const drift = driftBlock(entry);
  const left = [traffic(entry), entry.trials.length ? drift : null];
  const right = entry.trials.length ? entry.trials.map((trial) => trialBlock(entry, trial)) : [drift];
  return el("div", { class: `sides${right.some(Boolean) ? " both" : ""}` }, el("div", {}, left), right.some(Boolean) && el("div", {}, right));
}

function traffic(entry) {
  const answering = entry.shares.filter((share) => share.share > 0);
  let at = 0;
  const bars = answering.map((share) => {
    const bar = rect(at, 0, 1000 * share.share - 2, 12, share.role === "staging" ? "fill-warn" : "fill-blue");
    at += 1000 * share.share;
    return bar;
  });
  const said = entry.shares.map((share) => `${share.version} ${share.role} ${percent(share.share, 0)}`).join(", ");
  const hour = entry.traffic.hour;
  const rows = entry.shares.map((share) => {
    const figures = entry.traffic.versions[share.version];
    const ms = figures ? figures.milliseconds : {};
    const role = share.role === "shadow" ? `hears ${percent(share.hears, 0)}, answers nobody` : `${share.role === "base" ? "" : `${share.role}, `}${share.share === 0 ? "answers nobody" : `asked ${percent(share.share, 0)}, answered ${whole(share.answered)} of ${whole(share.calls)} calls`}`;
    const cells = share.share === 0
      ? [el("td", { colspan: 5 }, "")]
      : [["calls", figures ? whole(figures.calls) : "0"], ["failed", figures ? percent(figures.error_rate) : "–"],
        ["p50", latency(ms.p50)], ["p95", latency(ms.p95)], ["p99", latency(ms.p99)]]
        .map(([name, text]) => el("td", { "data-name": name }, text));
    return el("tr", {},
      el("td", {}, el("span", { class: "who" }, el("span", { class: `key ${share.role}`, "aria-hidden": "true" }), version(share.version), el("span", { class: "muted" }, role))),
      cells);
  });
  return el("div", {},
    svg("share", 1000, 12, `Share of callers: ${said}`, bars),
    el("table", {},
      el("thead", {}, el("tr", {}, ["last hour", "calls", "failed", "p50", "p95", "p99"].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, rows)),
    hour.calls > 0 && minutes(entry.traffic.minutes),
    el("p", { class: "muted" }, counts(entry)));
}

function counts(entry) {
  const { hour, day } = entry.traffic;
  const parts = [`24 h: ${whole(day.calls)} calls, ${percent(day.success_rate, 2)} answered`];
  if (entry.in_flight !== null) parts.push(`now ${whole(entry.in_flight)} in flight, ${whole(entry.waiting)} waiting`);
  if (hour.fallbacks) parts.push(`${whole(hour.fallbacks)} answered in another's place`);
  if (hour.refused) parts.push(`${whole(hour.refused)} refused`);
  const kinds = Object.entries(hour.failures).map(([kind, count]) => `${kind} ${whole(count)}`).join(", ");
  if (kinds) parts.push(`this hour: ${kinds}`);
  return parts.join(" · ");
}

function minutes(told) {
  const last = Math.floor(Date.now() / 60000);
  const most = Math.max(1, ...told.map((minute) => minute.calls));
  const bars = told.flatMap((minute) => {
    const x = (59 - (last - minute.minute)) * 10;
    if (x < 0) return [];
    const height = (40 * minute.calls) / most;
    const failed = minute.failed ? Math.max(3, (40 * minute.failed) / most) : 0;
    return [rect(x, 44 - height, 8, height, "bar"), rect(x, 44 - failed, 8, failed, "fill-bad")];
  });
  return svg("minutes", 600, 44, `Calls of each of the last 60 minutes, at most ${most}; failed ones are drawn at the foot`, bars);
}

// One trial: each metric's range against what is tolerated, and how far the evidence has come.
function trialBlock(entry, trial) {
  const pairs = trial.pairs === null ? "no pairs judged" : `${whole(trial.pairs)} calls heard by both`;
  const differ = trial.disagreement === null ? "" : `, answers differ by ${percent(trial.disagreement)}`;
  return el("div", { class: "trial" },
    el("h4", { class: "who" }, version(trial.candidate), el("span", { class: "muted" }, "against"), version(trial.incumbent), badge(trial.stage), badge(trial.verdict)),
    el("p", {}, trial.decision || trial.reason, trial.command && el("div", {}, el("code", {}, trial.command))),
    el("p", { class: "muted" }, `${pairs}${differ}; since ${when(trial.since)}`),
    mirrored(entry.mirrors.find((mirror) => mirror.trial === trial.trial)),
    trial.error && el("p", { class: "notice bad" }, trial.error),
    metrics(trial));
}

// What became of the calls that the candidate was to hear in this gateway's time.
function mirrored(mirror) {
  if (!mirror) return null;
  const told = (counts) => Object.entries(counts || {}).filter(([, count]) => count).map(([kind, count]) => `${kind} ${whole(count)}`);
  const parts = [`${whole(mirror.chosen)} calls chosen, ${whole(mirror.answered)} answered`];
  if (mirror.timed_out) parts.push(`${whole(mirror.timed_out)} timed out`);
  const [errors, dropped] = [told(mirror.errors), told(mirror.dropped)];
  if (errors.length) parts.push(`errors: ${errors.join(", ")}`);
  if (dropped.length) parts.push(`dropped: ${dropped.join(", ")}`);
  if (mirror.restarts) parts.push(`process started anew ${whole(mirror.restarts)} times`);
  if (mirror.process && mirror.process !== "ready") parts.push(`process ${mirror.process}${mirror.why ? `: ${mirror.why}` : ""}`);
  return el("p", { class: "muted" }, parts.join("; "));
}

// What is in production was let in: its figures are folded away, as long as they speak of no harm.
function metrics(trial) {
  const rows = el("div", { class: "metrics" }, trial.metrics.map((metric) => metricRow(trial, metric)));
  if (trial.stage !== "production" || trial.verdict === "fail" || !trial.pairs) return trial.pairs ? rows : null;
  return el("details", { "data-key": `trial-${trial.trial}` }, el("summary", {}, "Figures"), rows);
}

const UNITS = {
  share: { zero: 0, at: (value) => value, tell: (value) => `${signed(100 * value, 1)} points`, harm: (margin) => margin },
  loss: { zero: 0, at: (value) => value, tell: (value) => signed(value, 3), harm: (margin) => margin },
  ratio: { zero: 0, at: (value) => Math.log(Math.max(value, 1e-3)), tell: (value) => `× ${value.toFixed(2)}`, harm: (margin) => margin },
};
const METRICS = { errors: "failed or stalled calls", latency: "time", quality: "loss of quality" };

function metricRow(trial, metric) {
  const unit = UNITS[metric.unit] || UNITS.share;
  const name = METRICS[metric.metric] || metric.metric;
  const known = metric.mean !== null && metric.mean !== undefined;
  const margin = metric.margin;
  const told = known
    ? `${unit.tell(metric.mean)} (${unit.tell(metric.lower)} to ${unit.tell(metric.upper)}), harm from ${unit.tell(margin)}; ${whole(metric.calls)} calls`
    : `not measured yet; harm from ${unit.tell(margin)}`;
  return el("div", { class: "metric" },
    el("strong", {}, name),
    range(unit, metric, known, `${name}: ${told}`),
    el("div", { class: "told" }, told,
      metric.reason && metric.reason !== trial.reason && el("div", {}, metric.reason),
      (metric.harm || metric.safety) && el("div", { class: "evidence" }, "evidence of ", meter("harm", metric.harm, "fill-bad"), meter("safety", metric.safety, "fill-good"))));
}

function range(unit, metric, known, said) {
  const edge = unit.at(metric.margin);
  const values = known ? [unit.at(metric.lower), unit.at(metric.mean), unit.at(metric.upper)] : [];
  const reach = 1.12 * Math.max(1.6 * Math.abs(edge), ...values.map(Math.abs).filter(Number.isFinite));
  const x = (value) => 500 + 500 * Math.max(-1, Math.min(1, value / reach));
  const shapes = [rect(0, 6, x(edge), 22, "zone"), rect(x(edge), 6, 1000 - x(edge), 22, "zone-bad"), line(500, 28, "stroke", 6), line(x(edge), 32, "stroke-bad", 2)];
  if (known) {
    const [low, mean, high] = values.map(x);
    const kind = values[0] > edge ? "fill-bad" : values[2] < edge ? "fill-good" : "fill-blue";
    shapes.push(rect(low, 13, Math.max(3, high - low), 8, kind), rect(mean - 3, 8, 6, 18, kind));
  }
  return svg("range", 1000, 34, said, shapes);
}

const raised = (power) => String(Math.floor(power)).replace(/\d/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]);

function meter(name, evidence, kind) {
  if (!evidence) return null;
  const share = Math.max(0, Math.min(1, evidence.log10_e_value / evidence.log10_threshold));
  const e = evidence.log10_e_value < -2 ? "under 0.01" : evidence.log10_e_value >= 4 ? `10${raised(evidence.log10_e_value)}` : String(Number((10 ** evidence.log10_e_value).toPrecision(2)));
  const text = `${name} ${e} of ${Math.round(10 ** evidence.log10_threshold)}`;
  return el("span", { class: "meter" }, svg("", 64, 8, text, rect(0, 0, 64, 8, "fill-line"), rect(0, 0, 64 * share, 8, kind)), text);
}

// Drift: live calls as bars, training as an outline.
function driftBlock(entry) {
  const { drift } = entry;
  if (!drift.features.some((feature) => feature.calls > 0)) return null;
  const held = drift.reference ? `Bars: calls. Outline: training, ${whole(drift.reference.rows)} rows of ${drift.reference.version}.` : `Bars: calls; not judged, ${drift.reason}.`;
  return el("details", { class: entry.trials.length ? "block" : "", "data-key": `drift-${entry.adapter}`, open: drift.reference !== null },
    el("summary", {}, "Drift, last ", String(drift.window_hours), " h ", badge(drift.verdict)),
    el("p", { class: "legend" }, held),
    el("div", { class: "features" }, drift.features.map(featureShape)));
}

function featureShape(feature) {
  const index = feature.psi === null ? "" : `PSI ${feature.psi.toFixed(2)}, `;
  return el("div", {},
    el("h5", {}, feature.feature.replace("_", " "), badge(feature.verdict)),
    shapes(feature),
    el("p", {}, `${index}${whole(feature.calls)} calls: ${feature.reason}`),
    (feature.verdict === "shifted" || feature.verdict === "drifting") && el("p", {}, `Note: ${feature.expected}.`));
}

function shapes(feature) {
  const share = (counts) => {
    const total = counts.reduce((sum, count) => sum + count, 0) || 1;
    return counts.map((count) => count / total);
  };
  const [live, trained] = [share(feature.live), share(feature.reference)];
  const most = Math.max(0.01, ...live, ...trained);
  const step = 1000 / Math.max(1, live.length);
  const bars = live.map((value, place) => rect(place * step + 1, 34 - (32 * value) / most, step - 2, (32 * value) / most, "bar"));
  const points = trained.flatMap((value, place) => [`${place * step},${34 - (32 * value) / most}`, `${(place + 1) * step},${34 - (32 * value) / most}`]);
  if (feature.rows) bars.push(shape("polyline", { points: points.join(" "), class: "outline" }));
  const names = feature.labels ? feature.labels.map((label, place) => `${label} ${percent(live[place], 0)} (training ${percent(trained[place], 0)})`).join(", ") : `${feature.live.length} buckets`;
  return svg("shape", 1000, 34, `${feature.meaning}: ${names}`, bars);
}

function versions(entry) {
  if (!entry.versions.length) return null;
  return el("details", { class: "block", "data-key": `versions-${entry.adapter}` },
    el("summary", {}, `Versions (${entry.versions.length})`),
    entry.versions.map((each) => el("p", {}, version(each.version), " ", badge(each.stage), ` since ${when(each.since)}${each.score === null ? "" : `, score ${each.score.toFixed(3)}`}: ${each.reason}`)));
}

// What a person is asked for.
function waits(status) {
  const found = [];
  for (const entry of status.adapters) {
    for (const trial of entry.trials) {
      if (trial.command) found.push([`${entry.adapter}/${trial.candidate}`, trial.decision, trial.command]);
    }
    for (const each of entry.versions) {
      if (each.stage === "none" && each.reason.startsWith("not decided")) found.push([`${entry.adapter}/${each.version}`, each.reason, `python -m data_foundry models admit ${entry.adapter}/${each.version} --actor NAME --reason TEXT`]);
    }
  }
  return found;
}

const EVENT = { moved: "moved", registered: "registered", noted: "noted" };
function step(entry) {
  const moved = entry.from && entry.from !== entry.to ? [badge(entry.from), " → ", badge(entry.to)] : [EVENT[entry.event] || entry.event, " ", badge(entry.to)];
  return el("li", {},
    el("time", { datetime: entry.at }, when(entry.at)),
    el("div", {}, el("strong", {}, entry.adapter), " ", version(entry.version), el("div", {}, moved)),
    el("div", {}, el("div", { class: "muted" }, entry.actor), el("div", { class: "why clip", title: entry.reason }, entry.reason)));
}

// Draw a part only where what it shows changed; what was opened and what has the focus stays so.
function draw(name, place, content, make) {
  const now = JSON.stringify(content);
  if (DRAWN.get(name) === now) return;
  DRAWN.set(name, now);
  const open = new Map([...place.querySelectorAll("details[data-key]")].map((node) => [node.dataset.key, node.open]));
  const focused = place.contains(document.activeElement) ? document.activeElement.closest("[data-key]")?.dataset.key : null;
  place.replaceChildren(...[make()].flat().filter(Boolean));
  for (const node of place.querySelectorAll("details[data-key]")) {
    if (open.has(node.dataset.key)) node.open = open.get(node.dataset.key);
    if (node.dataset.key === focused) node.querySelector("summary").focus();
  }
}

function render(status) {
  const busy = status.adapters.filter((entry) => entry.versions.length || entry.traffic.day.calls);
  const idle = status.adapters.filter((entry) => !busy.includes(entry)).map((entry) => entry.adapter);
  for (const [list, entries] of [["cards", busy.filter(heard)], ["quiet", busy.filter((entry) => !heard(entry))]]) {
    for (const entry of entries) {
      const id = `${list}-${entry.adapter}`;
      const place = byId(id) || byId(list).appendChild(el("div", { id }));
      draw(id, place, [entry, Math.floor(Date.now() / 60000)], () => card(entry));
    }
    for (const place of [...byId(list).children]) {
      if (entries.some((entry) => place.id === `${list}-${entry.adapter}`)) continue;
      place.remove();
      DRAWN.delete(place.id);
    }
  }
  byId("adapters").hidden = false;
  byId("idle").hidden = !idle.length;
  byId("idle").textContent = `Nothing registered, no calls: ${idle.join(", ")}.`;
  const waiting = waits(status);
  byId("waiting").hidden = !waiting.length;
  draw("waiting", document.querySelector("#waiting ul"), waiting, () => waiting.map(([name, why, command]) => el("li", {}, el("p", { class: "clip" }, el("strong", {}, name), " ", why), el("code", {}, command))));
  byId("history").hidden = !status.history.length;
  draw("history", document.querySelector("#history ol"), status.history, () => {
    const steps = status.history.map(step);
    const older = steps.slice(RECENT);
    return [...steps.slice(0, RECENT), older.length > 0 && el("li", { class: "older" }, el("details", { "data-key": "older" }, el("summary", {}, `${older.length} older`), el("ol", {}, older)))];
  });
  const rules = status.deployment;
  byId("rules").textContent = [
    rules.shadow_testing ? `A shadow hears ${percent(rules.shadow_share, 0)} of calls, a version in staging answers ${percent(rules.staging_share, 0)}.` : "Shadow testing is off: no shadow hears calls, nothing is promoted; what answers callers is still compared.",
    rules.rollback_enabled ? `Harm takes a version back; a harmless one with a chance of at most ${percent(rules.alpha, 0)}.` : "Rollback is off: harm is told, and nothing is taken back.",
    `Data Foundry ${status.program}.`].join(" ");
}

function notices(status, failure) {
  const told = [];
  if (failure && failure !== KEYLESS) told.push(["bad", answered ? `${failure} What is shown is of ${new Date(answered).toLocaleTimeString("en-GB")} and grows old.` : failure]);
  if (status && !status.running) told.push(["bad", `No gateway runs. What is shown was last heard ${status.last_heard ? since(status.last_heard) : "never"}.`]);
  for (const gateway of (status && status.gateways) || []) {
    for (const lacking of gateway.running ? gateway.missing : []) told.push(["warn", lacking]);
    for (const fault of (gateway.running && gateway.watch.faults) || []) told.push(["warn", `A gateway can't tell how it stands: ${fault}`]);
    if (gateway.running && gateway.watch.tallies_fault) told.push(["warn", `Counts are not written to the disk: ${gateway.watch.tallies_fault}`]);
  }
  for (const error of (status && status.errors) || []) told.push(["bad", String(error)]);
  draw("notices", byId("notices"), told, () => told.map(([kind, text]) => el("p", { class: `notice ${kind}` }, text)));
}

async function poll() {
  clearTimeout(timer);
  let failure = null;
  let status = null;
  try {
    const key = sessionStorage.getItem("key");
    const answer = await fetch("/v1/status", { headers: key ? { Authorization: `Bearer ${key}` } : {}, cache: "no-store", signal: AbortSignal.timeout(STALE) });
    byId("key").hidden = answer.status !== 401;
    if (answer.status === 401) {
      sessionStorage.removeItem("key");
      failure = key ? "The gateway does not know this API key." : KEYLESS;
    } else if (!answer.ok) {
      const told = await answer.json().catch(() => ({}));
      failure = told.error ? `The gateway says: ${told.error.message}` : `The gateway answers ${answer.status}.`;
    } else {
      status = await answer.json();
      answered = Date.now();
    }
  } catch {
    failure = "The gateway does not answer.";
  }
  if (status) render(status);
  notices(status, failure);
  const count = status ? status.gateways.filter((gateway) => gateway.running).length : 0;
  byId("state").textContent = status ? `${status.running ? `${Math.max(1, count)} gateway${count > 1 ? "s" : ""} running` : "not running"}, as of ${new Date(answered).toLocaleTimeString("en-GB")}` : failure;
  timer = setTimeout(poll, document.hidden ? 5 * EVERY : EVERY);
}

byId("key").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("key", byId("key-input").value.trim());
  byId("key-input").value = "";
  poll();
});
document.addEventListener("visibilitychange", () => document.hidden || poll());
poll();
