// What the live page draws with: elements, shapes, and numbers as people read them.
"use strict";

const SVG = "http://www.w3.org/2000/svg";

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
function titled(said, ...shapes) {
  const node = shape("g", {});
  const title = document.createElementNS(SVG, "title");
  title.textContent = said;
  node.append(title, ...shapes);
  return [node];
}

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
