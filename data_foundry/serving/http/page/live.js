// The live page: draws what /v1/status says, every two seconds. Text goes into the page as text nodes alone, never as
// markup, so whatever a reason or a name holds is shown as it stands.
"use strict";

const EVERY = 2000;
const STALE = 10000;
const SILENT = "The gateway does not answer.";
const KEYLESS = "asks for an API key";
const RECENT = 12; // entries of the history that are not folded away
const DRAWN = new Map(); // what each part was drawn from, so that only what changed is drawn anew
let answered = null; // when the gateway last answered
let serve = null; // the command that starts it, as it said
let timer = 0;

// How far the furthest version is, and who answers callers where that is not it.
function standing(entry) {
  const stage = ["production", "staging", "shadow", "rolled_back"].includes(entry.stage) ? badge(entry.stage) : null;
  if (entry.not_served) return [stage, el("span", { class: "badge bad" }, "nobody answers")];
  return [stage, entry.stage !== "production" && el("span", { class: "badge" }, `${entry.answering} answers`)];
}

// What was refused at the door was a call, too.
const came = (span) => span.calls + span.refused;
const heard = (entry) => came(entry.traffic.day) > 0 || entry.trials.length > 0;

// One adapter.
function card(entry) {
  return el("article", { "aria-labelledby": `a-${entry.adapter}` },
    el("header", {},
      el("h3", { id: `a-${entry.adapter}` }, entry.adapter), standing(entry),
      el("span", { class: "muted" }, entry.title || "")),
    entry.not_served && el("p", { class: "notice bad" }, `Callers are refused, nobody answers them: ${entry.not_served}`),
    entry.error && el("p", { class: "notice bad" }, entry.error),
    entry.taken_back && takenBack(entry),
    !heard(entry) && el("p", { class: "muted" }, "No calls in 24 h."),
    entry.stage === "none" && (entry.not_served || !heard(entry)) && el("p", { class: "muted clip" }, `Of the latest version: ${entry.reason}`),
    heard(entry) && sides(entry),
    versions(entry));
}

function takenBack(entry) {
  const { version: name, since: at, reason, admitted, trial } = entry.taken_back;
  const again = admitted ? `${admitted.replace(/\.$/, "")}; the next phase 4 lets it hear calls.` : "It is heard again only when a person admits it anew.";
  const told = el("p", { class: "notice warn" }, version(name), ` was rolled back ${since(at)}: ${reason.replace(/\.$/, "")}. `,
    el("strong", {}, entry.answering ? `${entry.answering} answers callers.` : "Nobody answers callers."), ` ${again}`);
  if (!trial || !trial.pairs) return told;
  return [told, el("details", { class: "block", "data-key": `taken-${entry.adapter}` },
    el("summary", {}, `What ${whole(trial.pairs)} calls heard by both said of it, in ${trial.stage} against ${trial.incumbent}`),
    el("div", { class: "metrics" }, trial.metrics.map((metric) => metricRow(trial, metric))))];
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
  const rows = entry.shares.filter((share) => share.share > 0 || share.role !== "base").map((share) => {
    const figures = entry.traffic.versions[share.version];
    const onlyHears = share.role === "shadow" || (share.role === "staging" && share.share === 0);
    const role = onlyHears ? `${share.role === "shadow" ? "" : `${share.role}, `}hears ${percent(share.hears, 0)}, answers nobody` : `${share.role === "base" ? "" : `${share.role}, `}${share.share === 0 ? "answers nobody" : `asked ${percent(share.share, 0)}, answered ${whole(share.answered)} of ${whole(share.calls)} calls`}`;
    const told = share.share === 0
      ? [el("td", { colspan: 5 }, "")]
      : cells(figures || { calls: 0, error_rate: null, milliseconds: {} });
    return el("tr", {},
      el("td", {}, el("span", { class: "who" }, el("span", { class: `key ${share.role}`, "aria-hidden": "true" }), version(share.version), el("span", { class: "muted" }, role))),
      told);
  });
  return el("div", {},
    svg("share", 1000, 12, `Share of callers: ${said}`, bars),
    el("table", {},
      el("thead", {}, el("tr", {}, ["last hour", "calls", "failed", "p50", "p95", "p99"].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, rows, earlier(entry), turnedAway(entry.traffic.versions.none))),
    came(hour) > 0 && minutes(entry.traffic.minutes),
    el("p", { class: "muted" }, counts(entry)));
}

const cells = (figures) => [["calls", whole(figures.calls)], ["failed", percent(figures.error_rate)], ...["p50", "p95", "p99"].map((name) => [name, latency(figures.milliseconds[name])])]
  .map(([name, text]) => el("td", { "data-name": name }, text));

// Versions that answered within the hour and do no more.
function earlier(entry) {
  const gone = Object.entries(entry.traffic.versions).filter(([name, figures]) => figures.answered > 0 && !entry.shares.some((share) => share.version === name));
  return gone.map(([name, figures]) => el("tr", {}, el("td", {}, el("span", { class: "who" }, el("span", { class: "key", "aria-hidden": "true" }), version(name), el("span", { class: "muted" }, `answered ${whole(figures.answered)} before, answers no more`))), cells(figures)));
}

// Calls that failed before a version was to answer them: too many came, or nothing answers yet.
const turnedAway = (figures) => figures && figures.failed > 0 && el("tr", {}, el("td", {}, el("span", { class: "who" }, el("span", { class: "key", "aria-hidden": "true" }), el("span", { class: "muted" }, "turned away, by no version"))), cells(figures));

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
  const most = Math.max(1, ...told.map(came));
  const sum = (name) => told.reduce((all, minute) => all + minute[name], 0);
  const bars = told.flatMap((minute) => {
    const x = (59 - (last - minute.minute)) * 10;
    if (x < 0) return [];
    const height = (40 * minute.calls) / most;
    const [failed, refused] = [minute.failed, minute.refused].map((count) => (count ? Math.max(3, (40 * count) / most) : 0));
    const said = `${new Date(60000 * minute.minute).toLocaleTimeString("en-GB", { timeStyle: "short" })}: ${whole(minute.calls)} calls, ${whole(minute.failed)} failed, ${whole(minute.refused)} refused`;
    return titled(said, rect(x, 44 - height, 8, height, "bar"), rect(x, 44 - failed, 8, failed, "fill-bad"), rect(x, 44 - height - refused, 8, refused, "fill-line"));
  });
  const key = [`Each of the last 60 minutes, at most ${whole(most)} calls`, sum("failed") && "at the foot: failed", sum("refused") && "grey: refused, broken input or nothing served for it"].filter(Boolean).join("; ");
  return [svg("minutes", 600, 44, key, bars), el("p", { class: "legend" }, key)];
}

// One trial: each metric's range against what is tolerated, and how far the evidence has come.
function trialBlock(entry, trial) {
  const pairs = trial.pairs === null ? "no pairs judged" : `${whole(trial.pairs)} calls heard by both`;
  const differ = trial.disagreement === null ? "" : `, answers differ by ${percent(trial.disagreement)}`;
  return el("div", { class: "trial" },
    el("h4", { class: "who" }, version(trial.candidate), el("span", { class: "muted" }, "against"), version(trial.incumbent), badge(trial.stage), badge(trial.verdict)),
    el("p", {}, trial.decision || trial.reason),
    el("p", { class: "muted" }, `${pairs}${differ}; since ${when(trial.since)}`),
    mirrored(entry.mirrors.find((mirror) => mirror.trial === trial.trial)),
    trial.error && el("p", { class: "notice bad" }, trial.error),
    approval(entry, trial),
    metrics(trial));
}

// A person's word on what is on its way up, or why there is none that counts.
function approval(entry, trial) {
  const on = entry.versions.find((each) => each.version === trial.candidate);
  if (!on || !on.approval) return null;
  const { approver, until, reason, told } = on.approval;
  if (!approver) return el("p", { class: "muted" }, `${told[0].toUpperCase()}${told.slice(1)}.`);
  return el("p", {}, el("span", { class: "badge good" }, "approved"), ` by ${approver} until ${when(until)}: ${reason}`);
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

function versions(entry) {
  if (!entry.versions.length) return null;
  return el("details", { class: "block", "data-key": `versions-${entry.adapter}` },
    el("summary", {}, `Versions (${entry.versions.length})`),
    entry.versions.map((each) => el("p", {}, version(each.version), " ", badge(each.stage), ` since ${when(each.since)}${each.score === null ? "" : `, score ${each.score.toFixed(3)}`}: ${each.reason}`)));
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
  const busy = status.adapters.filter((entry) => entry.versions.length || came(entry.traffic.day));
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
  const errors = Object.entries(status.error_answers.hour);
  byId("errors").hidden = !errors.length;
  byId("errors").textContent = `Requests answered with an error this hour: ${errors.map(([code, count]) => `${code} ${whole(count)}`).join(", ")}.`;
  byId("waiting").hidden = !status.waiting.length;
  draw("waiting", document.querySelector("#waiting ul"), status.waiting, () => status.waiting.map(({ name, why, commands }) =>
    el("li", {}, el("p", { class: "clip" }, el("strong", {}, name), " ", why), commands.map((command) => el("div", {}, el("code", {}, command))))));
  byId("history").hidden = !status.history.length;
  draw("history", document.querySelector("#history ol"), status.history, () => {
    const steps = status.history.map(step);
    const older = steps.slice(RECENT);
    return [...steps.slice(0, RECENT), older.length > 0 && el("li", { class: "older" }, el("details", { "data-key": "older" }, el("summary", {}, `${older.length} older`), el("ol", {}, older)))];
  });
  const rules = status.deployment;
  byId("rules").textContent = [
    rules.shadow_testing ? `A shadow hears ${percent(rules.shadow_share, 0)} of calls, a version in staging answers ${percent(rules.staging_share, 0)}.` : "Shadow testing is off: no shadow hears calls, nothing is promoted; what answers callers is still compared.",
    rules.rollback_enabled ? `Harm takes a version back; a harmless one with a chance of at most ${percent(rules.alpha, 0)} on its way up, and a third of that more each time that what answers callers becomes another.` : "Rollback is off: harm is told, and nothing is taken back.",
    `Data Foundry ${status.program}.`].join(" ");
  const running = status.gateways.filter((gateway) => gateway.running);
  byId("gateways").textContent = running.map((gateway) => `${gateway.host}, process ${gateway.pid}${gateway.address ? `, ${gateway.address}` : ""}, since ${when(gateway.started)}`).join("; ");
}

function notices(status, failure) {
  const told = [];
  const silent = failure === SILENT ? ` Callers of this one get no answer. To start it, with the other flags that it had: ${serve || "python -m data_foundry serve"}` : "";
  if (failure && failure !== KEYLESS) told.push(["bad", (answered ? `${failure} What is shown is of ${new Date(answered).toLocaleTimeString("en-GB")} and grows old.` : failure) + silent]);
  if (status && !status.running) told.push(["bad", `No gateway runs. To start one: ${status.serve}. What is shown was last heard ${status.last_heard ? since(status.last_heard) : "never"}.`]);
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
      [answered, serve] = [Date.now(), status.serve];
    }
  } catch {
    failure = SILENT;
  }
  if (status) render(status);
  notices(status, failure);
  const count = status ? status.gateways.filter((gateway) => gateway.running).length : 0;
  byId("state").textContent = status ? `${status.running ? `${Math.max(1, count)} gateway${count > 1 ? "s" : ""} running` : "not running"}, as of ${new Date(answered).toLocaleTimeString("en-GB")}` : failure;
  // Who has no key is turned away each time, and that is counted: the next look is the one with a key, which a gateway
  // that gave no answer has not looked at yet.
  if (byId("key").hidden || failure === SILENT) timer = setTimeout(poll, document.hidden ? 5 * EVERY : EVERY);
}

byId("key").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("key", byId("key-input").value.trim());
  byId("key-input").value = "";
  poll();
});
document.addEventListener("visibilitychange", () => document.hidden || (!byId("key").hidden && !sessionStorage.getItem("key")) || poll());
poll();
