// SPDX-License-Identifier: Apache-2.0
// node run.mjs [--screenshot FILE] [--session PYTHON NGINX MODULE] ENGINE...
//
// Opens the demo's page in each engine, and holds what the page's scripts saw, what nginx has logged and what the console
// has said against the rows in nginx-conf/demo/rows.js. Then it opens the page of cors_report, of which --screenshot makes another
// picture, at FILE with "report" for "demo", after CORS_BROWSER_WATCH seconds. With --session, a page
// uses Django's session behind that nginx, too. CORS_BROWSER_VERBOSE=1 prints the consoles. scripts/test browser installs what
// it takes, and runs it for all of them.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import http from "node:http";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import vm from "node:vm";
import { engines } from "./engines.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const build = join(root, "build/browser");
const counts = { passed: 0, failed: 0, skipped: 0 };
const recorded = [];

// The rows are a page's script: what they need of a page is needed only when they run.
const page = {};
page.parent = page;
const rows = vm.runInNewContext(`${readFileSync(join(root, "nginx-conf/demo/rows.js"), "utf8")}; rows`, { window: page });

function report(verdict, engine, what, why = "") {
  counts[verdict]++;
  console.log(`${{ passed: "ok", failed: "not ok", skipped: "skip" }[verdict]} - ${engine}: ${what}${why && ` # ${why}`}`);
}

// Starts what prints "Serving" and an address: the address, and how to stop it.
async function serve(command, args, env) {
  const server = spawn(command, args, { env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise(resolve => server.once("exit", resolve));
  const address = new Promise((resolve, reject) => {
    let printed = "";
    server.stdout.on("data", data => {
      printed += data;
      const found = printed.match(/^Serving (.*)$/m);
      if (found)
        resolve(found[1]);
    });
    server.once("error", reject);
    ended.then(code => reject(new Error(`${command} has ended with ${code}`)));
  });
  return { address: await address, stop: () => (server.stdin.end(), ended) };
}

// Browsers tell a script nothing of why they block; a console that says it is held to naming what is missing.
function checkConsole(engine, row, result, said) {
  const about = said.filter(line => line.includes(result.token));
  const what = `${row.id}: the console names what is missing`;
  if (!about.length)
    report("skipped", engine, what, "this engine tells the driver nothing");
  else if (about.some(line => row.console.test(line)))
    report("passed", engine, what);
  else
    report("failed", engine, what, `${row.console}: ${about.join(" | ")}`);
}

// The demo's page: all rows.
async function runRows(name, browser, port, screenshot) {
  const demo = await serve(join(root, "scripts/demo"), ["--serve"],
    { CORS_DEMO_HOSTS: engines[name].names.join(" "), CORS_DEMO_PORT: String(port) });
  try {
    await browser.open(`${demo.address}/`);
    const results = await browser.results(120000);
    // The console's last words may come later than the results.
    await new Promise(resolve => setTimeout(resolve, 500));
    const said = await browser.console();
    for (const row of rows) {
      const what = `${row.id}: ${row.title}`;
      const result = results.find(({ id }) => id === row.id);
      if (!result)
        report("failed", name, what, "the page has not run it");
      else if (result.skipped)
        report("skipped", name, what, result.skipped);
      else if (result.good)
        report("passed", name, what);
      else
        report("failed", name, what, `saw ${result.saw}; ${result.log.join(", ")}; `
          + `should be ${row.saw}; ${row.log.join(", ")}`);
      if (result?.why)
        recorded.push(`${name}: ${row.id}: ${result.why}`);
      if (row.console && result?.saw === "blocked")
        checkConsole(name, row, result, said);
    }
    if (screenshot && browser.screenshot)
      await browser.screenshot(screenshot);
    await checkReport(name, browser, demo.address, port + 1, screenshot?.replace("demo", "report"));
    if (process.env.CORS_BROWSER_VERBOSE)
      console.log(said.map(line => `# ${line}`).join("\n"));
  } finally {
    await demo.stop();
  }
}

const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

// Requests of other origins to the demo's API, some every second, until the promise that this returns is asked to stop.
function traffic(front, port) {
  const host = new URL(front).hostname;
  const origins = [front, front, front, front, "https://www.example.com", front.replace(/:\d+$/, ":3000"), "https://partner.example"];
  let at = 0;
  const send = (method, origin, headers) => http.request({ host: "127.0.0.1", port, method, path: "/hello",
    headers: { Host: `${host}:${port}`, Origin: origin, ...headers } }, response => response.resume()).on("error", () => {}).end();
  const timer = setInterval(() => {
    const bursts = 1 + Math.round(4 + 4 * Math.sin(at / 12));
    for (let n = 0; n < bursts; n++)
      send("GET", origins[(at + n) % origins.length]);
    if (at++ % 3 === 0)
      send("OPTIONS", front, { "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-trace-id" });
  }, 100);
  return () => clearInterval(timer);
}

// The page of cors_report: it shows what there is, refreshes itself under its own Content-Security-Policy, and fits a phone.
async function checkReport(engine, browser, front, port, screenshot) {
  const check = (what, good, why) => report(good ? "passed" : "failed", engine, `report: ${what}`, good ? "" : JSON.stringify(why));
  const stop = traffic(front, port);
  try {
    await browser.open(`${front}/report`);
    const look = () => browser.look(`({
      state: document.getElementById("state").textContent, failed: document.getElementById("state").className,
      policies: document.querySelectorAll("#policies .card").length, plots: document.querySelectorAll("polyline[points]").length,
      denials: document.querySelectorAll("#denials .card").length, codes: [...document.querySelectorAll("#denials .fix code")].map(code => code.textContent),
      fits: document.documentElement.scrollWidth <= innerWidth, back: getComputedStyle(document.body).backgroundColor,
      elements: document.querySelectorAll("script").length, })`);
    const before = await look();
    check("policies and denials", before.policies > 5 && before.denials > 3, before);
    check("directives to copy", before.codes.length > 0 && before.codes.every(code => /^cors_allow_(origin|methods|headers) [^\s;]+;$/.test(code)), before.codes);
    check("it fits the window", before.fits, before);
    let after = before;
    for (let tries = 0; tries < 60 && (after.state === before.state || !after.plots); tries++) {
      await sleep(250);
      after = await look();
    }
    check("it refreshes itself", after.state !== before.state && after.failed === "", after);
    check("plots", after.plots >= 2, after);
    await browser.look(`(document.querySelector("#denials button").click(), 1)`);
    await sleep(300);
    const said = await browser.look(`document.querySelector("#denials button").textContent`);
    check("a directive is copied", said === "Copied" || said === "Press Ctrl+C", said);
    if (screenshot && browser.page) {
      // Dark, and on a phone.
      const { page } = browser;
      await browser.open(`${front}/report`);
      await page.setViewport({ width: 1100, height: 720 });
      await sleep(Number(process.env.CORS_BROWSER_WATCH ?? 10) * 1000);
      await page.screenshot({ path: screenshot });
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
      const dark = await look();
      check("dark", dark.back !== before.back, dark.back);
      await page.setViewport({ width: 360, height: 740, isMobile: true });
      check("it fits a phone", (await look()).fits, await look());
      await page.screenshot({ path: screenshot.replace(".png", "-phone.png") });
      await page.emulateMediaFeatures([]);
      await page.setViewport({ width: 1180, height: 900 });
    }
    const violations = async () => (await browser.console()).filter(line => /Content.Security.Policy/i.test(line));
    const others = await violations();
    const blocked = others.filter(line => line.includes("/report"));
    check("nothing is blocked", blocked.length === 0, blocked);
    // A console that says nothing of what is blocked would not have shown it.
    await browser.look(`(fetch("https://a.example/").catch(() => {}), 1)`);
    await sleep(500);
    const says = (await violations()).length > others.length;
    if (engine === "webkit" && !says)
      report("skipped", engine, "report: its console says what is blocked", "its driver has no console");
    else
      check("its console says what is blocked", says, await browser.console());
  } finally {
    stop();
  }
}

// Django's session and CSRF token from a page of another origin (tests/apps/session.html).
async function runSession(name, browser, [python, nginx, module]) {
  const apps = await serve(python, [join(root, "tests/apps/serve.py"), "--nginx", nginx, "--module", module,
    "--names", ...engines[name].names], { PYTHONDONTWRITEBYTECODE: "1" });
  try {
    await browser.open(`${apps.address}/`);
    for (const { id, title, saw, expected, good } of await browser.results(60000))
      report(good ? "passed" : "failed", name, `django: ${id}: ${title}`, good ? "" : `saw ${saw}; should be ${expected}`);
  } finally {
    await apps.stop();
  }
}

async function run(name, port) {
  const browser = await engines[name].start(build);
  try {
    console.log(`# ${name}: ${browser.version}`);
    await runRows(name, browser, port, name === "chromium" ? screenshot : undefined);
    if (session)
      await runSession(name, browser, session);
    else
      report("skipped", name, "django", "--session is not given");
  } finally {
    await browser.close();
  }
}

const args = process.argv.slice(2);
const screenshot = args[0] === "--screenshot" ? args.splice(0, 2)[1] : undefined;
const session = args[0] === "--session" ? args.splice(0, 4).slice(1) : undefined;
let port = Number(process.env.CORS_DEMO_PORT ?? 18300);
for (const name of args) {
  try {
    await run(name, port);
  } catch (error) {
    report("failed", name, "runs", error.stack);
  }
  port += 5;
}
for (const line of recorded)
  console.log(`Recorded: ${line}`);
console.log(`Browsers: ${args.join(", ")}`);
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exit(counts.failed ? 1 : 0);
