
"use strict";
const EVERY = 3000, KEPT = 200;
const BAD = ["denied", "rejected", "preflight_origin_denied", "preflight_method_denied", "preflight_header_denied"];
// What the counters were, by policy: the plots show how they changed since the page was opened.
const history = new Map();

// An element with attributes and children; text goes in as text only.
function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
  element.append(...children.filter(child => child !== null));
  return element;
}

function words(status) { return status.replaceAll("_", " "); }

function time(seconds) { return new Date(seconds * 1000).toLocaleString(); }

function copy(text, button, code) {
  const done = () => { button.textContent = "Copied"; setTimeout(() => { button.textContent = "Copy"; }, 1500); };
  const select = () => {
    // Browsers let only secure pages write to the clipboard.
    getSelection().selectAllChildren(code);
    if (document.execCommand("copy")) done(); else button.textContent = "Press Ctrl+C";
  };
  if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, select); else select();
}

function fix(directive, note, count) {
  const parts = [];
  if (directive !== null) {
    const code = make("code", {}, directive), button = make("button", { type: "button" }, "Copy");
    button.addEventListener("click", () => copy(directive, button, code));
    parts.push(make("div", { class: "fix" }, code, count === null ? null : make("span", { class: "weak" }, `${count}\u00d7`), button));
  }
  if (note !== null) parts.push(make("p", { class: "weak" }, directive === null ? note : `Note: this value ${note}`));
  return parts;
}

function plot(points) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  const rates = points.slice(1).map((point, at) => {
    const seconds = Math.max(1, point.time - points[at].time);
    return { time: point.time, good: (point.good - points[at].good) / seconds, bad: (point.bad - points[at].bad) / seconds };
  });
  if (rates.every(rate => rate.good === 0 && rate.bad === 0)) return null;
  const most = Math.max(1, ...rates.map(rate => Math.max(rate.good, rate.bad)));
  const start = rates[0].time, length = Math.max(1, rates[rates.length - 1].time - start);
  for (const kind of ["good", "bad"]) {
    const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    const place = rate => `${(100 * (rate.time - start) / length).toFixed(1)},${(98 - 96 * Math.max(0, rate[kind]) / most).toFixed(1)}`;
    line.setAttribute("class", kind);
    line.setAttribute("points", rates.map(place).join(" "));
    svg.append(line);
  }
  const minutes = Math.max(1, Math.round(length / 60));
  svg.setAttribute("aria-label", `The last ${minutes} minutes: allowed and others, and denied; at most ${most.toFixed(1)} responses a second`);
  return svg;
}

function policyCard(policy, now) {
  const key = JSON.stringify([policy.policy, policy.dry_run]);
  const entries = Object.entries(policy.requests);
  const sum = kind => entries.filter(([status]) => BAD.includes(status) === kind).reduce((all, [, count]) => all + count, 0);
  const points = history.get(key) || [];
  history.set(key, points);
  if (!points.length || points[points.length - 1].time < now) points.push({ time: now, good: sum(false), bad: sum(true) });
  if (points.length > KEPT) points.shift();
  const counts = entries.filter(([, count]) => count > 0).map(([status, count]) =>
    make("span", BAD.includes(status) ? { class: "bad" } : {}, `${words(status)} ${count}`));
  const needs = policy.needs.flatMap(need => fix(need.directive, need.note, need.count));
  return make("section", { class: "card" },
    make("div", { class: "top" },
      make("span", { class: "name" }, policy.policy),
      policy.dry_run ? make("span", { class: "tag" }, "dry run") : null,
      policy.in_use ? null : make("span", { class: "tag" }, "of an earlier configuration")),
    make("div", { class: "counts" }, ...(counts.length ? counts : [make("span", { class: "weak" }, "no request with an Origin yet")])),
    points.length > 2 ? plot(points) : null,
    needs.length ? make("p", { class: "weak" }, "What the requests of this dry run need in addition:") : null,
    ...needs);
}

function fileCard(file) {
  return make("section", { class: "card" },
    make("div", { class: "top" },
      make("span", { class: "name" }, file.file),
      make("span", { class: "tag" }, "file of origins"),
      file.errors ? make("span", { class: "bad" }, `${file.errors} refused changes`) : null),
    make("p", { class: "weak" }, `${file.origins} values, in force since ${time(file.loaded)}`));
}

function denialCard(denial) {
  const what = denial.method !== null ? `method ${denial.method}` : denial.header !== null ? `header ${denial.header}` : null;
  const error = denial.error ? ` (at most ${denial.error} fewer)` : "";
  return make("section", { class: "card" },
    make("div", { class: "top" },
      make("span", { class: "name" }, denial.origin === null ? "no usable Origin" : denial.origin),
      what === null ? null : make("code", {}, what),
      make("span", { class: "bad" }, `${denial.count}\u00d7${error}`),
      denial.dry_run ? make("span", { class: "tag" }, "dry run") : null),
    make("p", { class: "weak" }, `${words(denial.status)} by ${denial.policy}; first ${time(denial.first)}, last ${time(denial.last)}`),
    ...fix(denial.directive, denial.note, null));
}

function show(report) {
  const policies = document.getElementById("policies"), denials = document.getElementById("denials");
  const { zone } = report;
  const state = document.getElementById("state");
  state.className = "";
  state.textContent = `Since ${time(zone.since)}, as of ${time(report.time)}. Zone ${zone.name}: `
    + `${Math.round(zone.used / 1024)} of ${Math.round(zone.bytes / 1024)} KiB. Module ${report.module}, nginx ${report.nginx}.`;
  policies.replaceChildren(...report.policies.map(policy => policyCard(policy, report.time)), ...report.files.map(fileCard));
  denials.replaceChildren(...(report.denials.length ? report.denials.slice(0, 100).map(denialCard) : [make("p", { class: "weak" }, "None so far.")]));
}

async function refresh() {
  // Nothing is exchanged under somebody's cursor.
  const isBusy = document.hidden || !getSelection().isCollapsed || document.activeElement instanceof HTMLButtonElement && document.activeElement.matches(":focus-visible");
  if (!isBusy) {
    try {
      const response = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
      if (!response.ok) throw new Error(`status ${response.status}`);
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      show(JSON.parse(page.getElementById("report").textContent));
    } catch (error) {
      const state = document.getElementById("state");
      state.className = "failed";
      state.textContent = `The report could not be read: ${error.message}. Trying again.`;
    }
  }
  setTimeout(refresh, EVERY);
}

show(JSON.parse(document.getElementById("report").textContent));
setTimeout(refresh, EVERY);
