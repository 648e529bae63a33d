// node run.mjs [--screenshot FILE] ENGINE...
//
// Opens the demo's page in each engine, and holds what the page's scripts saw, what nginx has logged and what the console
// has said against the rows in nginx-conf/demo/rows.js. CORS_BROWSER_VERBOSE=1 prints the consoles. scripts/test browser
// installs what it takes, and runs it for all of them.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
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

// The demo on names that the engine finds on loopback: its address, and how to stop it.
async function serve(names, port) {
  const demo = spawn(join(root, "scripts/demo"), ["--serve"], {
    env: { ...process.env, CORS_DEMO_HOSTS: names.join(" "), CORS_DEMO_PORT: String(port) },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise(resolve => demo.once("exit", resolve));
  const address = new Promise((resolve, reject) => {
    let printed = "";
    demo.stdout.on("data", data => {
      printed += data;
      const found = printed.match(/^Serving (.*)$/m);
      if (found)
        resolve(found[1]);
    });
    ended.then(code => reject(new Error(`scripts/demo has ended with ${code}`)));
  });
  return { address: await address, stop: () => (demo.stdin.end(), ended) };
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

async function run(name, port, screenshot) {
  const engine = engines[name];
  const demo = await serve(engine.names, port);
  try {
    const browser = await engine.start(build);
    try {
      console.log(`# ${name}: ${browser.version}`);
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
      if (process.env.CORS_BROWSER_VERBOSE)
        console.log(said.map(line => `# ${line}`).join("\n"));
    } finally {
      await browser.close();
    }
  } finally {
    await demo.stop();
  }
}

const args = process.argv.slice(2);
const screenshot = args[0] === "--screenshot" ? args.splice(0, 2)[1] : undefined;
let port = Number(process.env.CORS_DEMO_PORT ?? 18300);
for (const name of args) {
  try {
    await run(name, port, name === "chromium" ? screenshot : undefined);
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
