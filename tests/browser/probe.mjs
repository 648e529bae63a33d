// SPDX-License-Identifier: Apache-2.0
// node probe.mjs CORS ENGINE...
//
// Pages in each engine fetch what fetches.mjs lists, `cors probe` asks for the same, and both must come to the same outcome: whether
// the script can read the response, its status and its fields, and what was asked for in which order. Where an engine departs
// from the Fetch standard, departures.mjs cites the sentence.

import { execFile, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import vm from "node:vm";
import { departures } from "./departures.mjs";
import { engines } from "./engines.mjs";
import { rows } from "./fetches.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const [command, ...names] = process.argv.slice(2);
const run = promisify(execFile);
const counts = { passed: 0, failed: 0 };
const at = {};
// Who asks, and the row: what was asked for.
const seen = {};

// The page: it runs the rows, some at a time, and leaves what it saw.
const PAGE = `<!DOCTYPE html><meta charset="utf-8"><script>
async function one({ id, url, init }) {
  try {
    const headers = new Headers();
    for (const [name, value] of init.headers ?? [])
      headers.append(name, value);
    const response = await fetch(url, { method: init.method ?? "GET", headers, body: init.body, cache: "no-store",
      credentials: init.credentials ? "include" : "same-origin", signal: AbortSignal.timeout(8000) });
    return { id, saw: String(response.status), fields: [...response.headers.keys()] };
  } catch (error) {
    return { id, saw: "blocked", fields: [], error: String(error) };
  }
}
(async () => {
  const rows = await (await fetch("/rows")).json(), results = [];
  const next = async () => { for (let row; (row = rows.shift());) results.push(await one(row)); };
  await Promise.all(Array.from({ length: 6 }, next));
  window.results = results;
})();
</script>`;

const urlOf = (server, by, id, hop) => `${at[server]}/x?by=${by}&row=${encodeURIComponent(id)}&hop=${hop}`;

function filled(value, by, id) {
  return value
    .replace(/^(USER@)?(PAGE|API|OTHER)\/(\d+)$/, (_, user, server, hop) => {
      const url = urlOf(server.toLowerCase(), by, id, hop);
      return user ? url.replace("http://", "http://user@") : url;
    })
    .replaceAll("ORIGIN", at.page).replaceAll("UPPER", at.page.toUpperCase());
}

function answer(request, response) {
  const url = new URL(request.url, "http://x");
  const by = url.searchParams.get("by"), id = url.searchParams.get("row"), hop = Number(url.searchParams.get("hop"));
  const row = rows.find(row => row.id === id);
  if (url.pathname === "/rows")
    return response.end(JSON.stringify(rows.map(({ id, to, init }) => ({ id, init, url: urlOf(to, url.searchParams.get("by") ?? at.engine, id, 0) }))));
  if (!row)
    return response.writeHead(200, { "Content-Type": "text/html" }).end(PAGE);
  const isPreflight = request.method === "OPTIONS" && request.headers["access-control-request-method"] !== undefined;
  const { origin = "", "access-control-request-method": method = "", "access-control-request-headers": list = "" } = request.headers;
  ((seen[by] ??= {})[id] ??= []).push(`${request.method} ${hop} ${origin} ${method} ${list}`.trim());
  const { preflight, answer } = row.answers[hop] ?? row.answers.at(-1);
  const given = isPreflight ? preflight : answer;
  request.resume();
  if (given.raw !== undefined)
    return request.socket.end(given.raw);
  const [status, fields] = given;
  response.sendDate = false;
  response.writeHead(status, fields.flatMap(([name, value]) => [name, filled(value, by, id)]));
  response.end();
}

// What the command says of a fetch.
async function probe(url, origin, init, more = []) {
  const args = ["probe", url, "--origin", origin, "--json", "--timeout", "4", ...more];
  if (init.method !== undefined)
    args.push(`--method=${init.method}`);
  for (const [name, value] of init.headers ?? [])
    args.push(`--header=${name}: ${value}`);
  if (init.body !== undefined)
    args.push("--data", init.body);
  if (init.credentials)
    args.push("--credentials");
  // No argument of a command contains a NUL.
  if (args.some(arg => arg.includes("\0")))
    return { saw: "blocked", fields: [], steps: [] };
  const { stdout, code } = await run(command, args, { timeout: 20000 }).catch(error => error);
  const { result, status, fields = [], steps } = JSON.parse(stdout);
  const expected = { readable: undefined, blocked: 1, "no answer": 2 }[result];
  if (code !== expected)
    throw new Error(`${args.join(" ")}: ${result} and exit code ${code}`);
  return { saw: result === "readable" ? String(status) : "blocked", fields: fields.map(([name]) => name.toLowerCase()), steps };
}

// Serves the demo, and runs its rows with the command in the place of a page. What is not a fetch() with CORS is left out.
async function demo() {
  const port = 18340, host = `http://localhost:${port}`;
  const names = { front: host, second: `http://localhost:${port + 3}`, tenant: `http://tenant.localhost:${port}`,
    other: `http://127.0.0.1:${port}`, null: "null" };
  const server = spawn(join(root, "scripts/demo"), ["--serve"],
    { env: { ...process.env, CORS_DEMO_PORT: String(port) }, stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise(resolve => server.once("exit", resolve));
  await Promise.race([
    new Promise(resolve => server.stdout.on("data", data => /^Serving /m.test(data) && resolve())),
    ended.then(code => { throw new Error(`scripts/demo has ended with ${code}`); }),
  ]);
  const page = {};
  page.parent = page;
  const rows = vm.runInNewContext(`${readFileSync(join(root, "nginx-conf/demo/rows.js"), "utf8")}; rows`, { window: page, btoa });
  const elsewhere = () => { throw new Error("not a fetch() with CORS"); };
  const client = origin => {
    const ask = (path, { headers = {}, credentials, mode, ...init } = {}) => {
      if (mode)
        elsewhere();
      return probe(`http://localhost:${port + 1}${path}`, origin,
        { ...init, headers: Object.entries(headers), credentials: credentials === "include" }, ["--cookie", "session=alice"]);
    };
    return {
      fetch: async (...args) => (await ask(...args)).saw,
      session: async (...args) => {
        const { saw, steps } = await ask(...args);
        const sent = steps.at(-1).request.fields.some(([name]) => name === "Cookie");
        return saw === "blocked" ? saw : sent ? "session alice" : "no session";
      },
      headers: async (path, ...wanted) => {
        const { saw, fields } = await ask(path);
        return saw === "blocked" ? saw : wanted.map(name => `${name} ${fields.includes(name.toLowerCase()) ? "app" : "hidden"}`).join(", ");
      },
      upload: elsewhere, font: elsewhere, image: elsewhere, form: elsewhere, socket: elsewhere,
    };
  };
  let compared = 0;
  try {
    for (const row of rows) {
      try {
        const saw = [];
        for (const from of [row.from].flat())
          saw.push(await row.run(client(names[from])));
        const known = [row, ...(row.differs ?? [])].map(({ saw }) => saw);
        report(known.includes(saw.join("; ")), "cors", `the demo's ${row.id}`, known.includes(saw.join("; ")) ? "" : `${saw.join("; ")}, not ${known.join(" or ")}`);
        compared++;
      } catch (error) {
        if (error.message !== "not a fetch() with CORS")
          throw error;
      }
    }
    report(compared >= 35, "cors", `${compared} of the demo's ${rows.length} rows are a fetch() with CORS`);
  } finally {
    server.stdin.end();
    await ended;
  }
}

// What servers and connections add is not compared, nor how often a browser tries again if a connection breaks.
function summary({ saw, fields }, asked = []) {
  const shown = [...new Set(fields)].filter(name => !/^(connection|keep-alive|transfer-encoding|date|trailer)$/.test(name)).sort();
  return `${saw}; ${shown.join(" ")}; ${asked.filter((line, at) => line !== asked[at - 1]).join(", ")}`;
}

function report(passed, engine, what, why = "") {
  counts[passed ? "passed" : "failed"]++;
  console.log(`${passed ? "ok" : "not ok"} - ${engine}: ${what}${why && ` # ${why}`}`);
}

async function all(list, limit, action) {
  const results = [], open = [...list.entries()];
  const next = async () => { for (let entry; (entry = open.shift());) results[entry[0]] = await action(entry[1]); };
  await Promise.all(Array.from({ length: limit }, next));
  return results;
}

const servers = [];
for (const name of ["page", "api", "other"]) {
  const server = createServer({ insecureHTTPParser: true }, answer);
  await new Promise(resolve => server.listen(0, "127.0.0.1", resolve));
  servers.push(server);
  at[name] = `http://127.0.0.1:${server.address().port}`;
}
try {
  const probed = await all(rows, 3, ({ id, to, init }) => probe(urlOf(to, "cors", id, 0), at.page, init));
  await demo();
  report(rows.length >= 150 && new Set(rows.map(row => row.id)).size === rows.length, "cors", `${rows.length} fetches`);
  for (const engine of names) {
    const browser = await engines[engine].start(join(root, "build/browser"));
    try {
      console.log(`# ${engine}: ${browser.version}`);
      at.engine = engine;
      await browser.open(`${at.page}/`);
      const results = await browser.results(120000);
      const departed = new Set();
      for (const [number, row] of rows.entries()) {
        const ours = summary(probed[number], seen.cors?.[row.id]);
        const result = results.find(({ id }) => id === row.id);
        const theirs = result ? summary(result, seen[engine]?.[row.id]) : "was not run";
        const departure = departures.find(({ engines, ids }) => engines.includes(engine) && ids.some(id => id.test(row.id)));
        if (ours === theirs)
          report(true, engine, row.id);
        else if (departure)
          departed.add(departure) && report(true, engine, row.id, "departs");
        else
          report(false, engine, row.id, `the command: ${ours} | the browser: ${theirs} ${result?.error ?? ""}`);
      }
      for (const departure of departures.filter(({ engines }) => engines.includes(engine)))
        console.log(`Recorded: ${engine}: ${departed.has(departure) ? "departs from" : "no longer departs from"}: ${departure.sentence}`);
    } finally {
      await browser.close();
    }
  }
} finally {
  servers.forEach(server => (server.close(), server.closeAllConnections()));
}
console.log(`Browsers: ${names.join(", ")}: the same as cors probe`);
console.log(`${counts.passed} passed, ${counts.failed} failed, 0 skipped`);
process.exit(counts.failed ? 1 : 0);
