// The part of a card that holds live calls against training rows.
"use strict";

// Drift: live calls as bars, training as an outline.
function driftBlock(entry) {
  const { drift } = entry;
  if (!drift.features.some((feature) => feature.calls > 0)) return null;
  const rows = drift.reference;
  const other = rows && drift.answered_by && rows.version !== drift.answered_by ? ` ${drift.answered_by} answers callers, and what it answers is not judged against these rows.` : "";
  const held = rows ? `Bars: calls. Outline: ${whole(rows.rows)} training rows of ${rows.version} (${SAID[rows.stage] || rows.stage}).${other}` : `Bars: calls; not judged, ${drift.reason}.`;
  return el("details", { class: entry.trials.length ? "block" : "", "data-key": `drift-${entry.adapter}`, open: drift.reference !== null },
    el("summary", {}, "Drift, last ", String(drift.window_hours), " h ", badge(drift.verdict)),
    el("p", { class: "legend" }, held),
    el("div", { class: "features" }, drift.features.map(featureShape)));
}

function featureShape(feature) {
  const index = feature.psi === null ? "" : `PSI ${feature.psi.toFixed(2)}, `;
  return el("div", {},
    el("h5", { title: feature.meaning }, `${feature.feature.replace("_", " ")}${feature.answered_by ? `, by ${feature.answered_by}` : ""}`, badge(feature.verdict)),
    shapes(feature),
    places(feature),
    el("p", {}, `${index}${whole(feature.calls)} calls: ${feature.reason}`),
    (feature.verdict === "shifted" || feature.verdict === "drifting") && el("p", {}, `Note: ${feature.expected}.`));
}

const share = (counts) => {
  const total = counts.reduce((sum, count) => sum + count, 0) || 1;
  return counts.map((count) => count / total);
};

function placeName({ labels, edges, unit }, place) {
  if (labels) return labels[place];
  const [tell, of] = unit === "share" ? [(edge) => Math.round(100 * edge), " %"] : [String, ` ${unit}`];
  if (place === 0) return `up to ${tell(edges[0])}${of}`;
  return place === edges.length ? `over ${tell(edges[place - 1])}${of}` : `${tell(edges[place - 1])} to ${tell(edges[place])}${of}`;
}

// Where most of both lies: the fullest buckets, or the most frequent labels.
function places(feature) {
  const [live, trained] = [share(feature.live), share(feature.reference)];
  const fullest = (shares) => shares.indexOf(Math.max(...shares));
  if (!feature.labels) {
    const told = (name, shares) => { const at = fullest(shares); return `${name} mostly ${placeName(feature, at)} (${percent(shares[at], 0)})`; };
    return el("p", {}, el("span", { class: "ends" }, el("span", {}, placeName(feature, 0)), el("span", {}, placeName(feature, feature.live.length - 1))),
      [told("calls", live), feature.rows > 0 && told("training", trained)].filter(Boolean).join("; "));
  }
  const order = live.map((_, place) => place).sort((one, other) => Math.max(live[other], trained[other]) - Math.max(live[one], trained[one]));
  const shown = order.slice(0, 4).map((place) => `${feature.labels[place]} ${percent(live[place], 0)}${feature.rows ? ` (training ${percent(trained[place], 0)})` : ""}`);
  return el("p", {}, shown.join(", "), order.length > 4 && `, ${order.length - 4} more`);
}

function shapes(feature) {
  const [live, trained] = [share(feature.live), share(feature.reference)];
  const most = Math.max(0.01, ...live, ...trained);
  const step = 1000 / Math.max(1, live.length);
  const told = (place) => `${placeName(feature, place)}: ${percent(live[place], 0)}${feature.rows ? `, training ${percent(trained[place], 0)}` : ""}`;
  const bars = live.flatMap((value, place) => titled(told(place), rect(place * step, 0, step, 34, "clear"), rect(place * step + 1, 34 - (32 * value) / most, step - 2, (32 * value) / most, "bar")));
  const points = trained.flatMap((value, place) => [`${place * step},${34 - (32 * value) / most}`, `${(place + 1) * step},${34 - (32 * value) / most}`]);
  if (feature.rows) bars.push(shape("polyline", { points: points.join(" "), class: "outline" }));
  return svg("shape", 1000, 34, `${feature.meaning}: ${live.map((_, place) => place).filter((place) => live[place] || trained[place]).map(told).join("; ")}`, bars);
}
