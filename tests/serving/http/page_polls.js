// Runs the page's scripts over a page of blanks, and tells as JSON when they ask the gateway and when they ask again.
// node page_polls.js FOLDER_OF_THE_PAGE
"use strict";
const fs = require("fs");
const path = require("path");

const nodes = new Map();
const listening = {};
const timers = new Map();
let asks = 0;
let next = 0;
let key = null;
let answer = 401; // a status, or 0 where nothing answers

function blank(id) {
  return { id, hidden: id === "key", value: "", textContent: "", children: [], dataset: {}, append() {}, replaceChildren() {},
    appendChild: (node) => node, setAttribute() {}, contains: () => false, querySelectorAll: () => [], addEventListener: (name, heard) => { listening[name] = heard; } };
}

const document = {
  hidden: false,
  getElementById: (id) => nodes.get(id) || nodes.set(id, blank(id)).get(id),
  querySelector: (name) => document.getElementById(name), createElement: blank, createElementNS: blank,
  addEventListener: (name, heard) => { listening[name] = heard; },
};
const page = {
  document,
  sessionStorage: { getItem: () => key, setItem: (_, value) => { key = value; }, removeItem: () => { key = null; } },
  setTimeout: (call) => { timers.set(++next, call); return next; },
  clearTimeout: (id) => timers.delete(id),
  AbortSignal: { timeout() {} },
  fetch: async () => {
    asks += 1;
    if (!answer) throw new TypeError("nothing answers");
    return { status: answer, ok: false, json: async () => ({}) };
  },
};

const scripts = ["drawing", "drift", "live"].map((name) => fs.readFileSync(path.join(process.argv[2], `${name}.js`), "utf8"));
const settled = () => new Promise((done) => setImmediate(() => setImmediate(done)));
const told = {};

async function when(name, happens) {
  asks = 0;
  happens();
  await settled();
  told[name] = { asks, timers: timers.size, form: !document.getElementById("key").hidden, key };
}

function later() {
  const [[id, call]] = timers;
  timers.delete(id);
  call();
}

(async () => {
  await when("keyless", () => new Function(...Object.keys(page), scripts.join("\n"))(...Object.values(page)));
  await when("keyless, back on the tab", () => listening.visibilitychange());
  answer = 0;
  document.getElementById("key-input").value = "df-good";
  await when("key given, no answer", () => listening.submit({ preventDefault() {} }));
  await when("still none, back on the tab", () => listening.visibilitychange());
  answer = 503;
  await when("it answers", later);
  answer = 401;
  await when("it knows the key no more", later);
  console.log(JSON.stringify(told));
})();
