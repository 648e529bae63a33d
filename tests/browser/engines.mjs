// SPDX-License-Identifier: Apache-2.0
// How each engine is started, told a page, and listened to.
//
// An engine is started with the host names that it has to find on loopback, and gives
//   version      what it calls itself
//   open(url)    loads the page, which is the only one
//   results(ms)  what the page has put into `results`, as soon as it has
//   look(code)   what an expression is in the page, as JSON has it
//   screenshot(file), where the engine can
//   console()    what its console has said so far, a string each
//   close()

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

// scripts/test installs it out of the tree's way.
const build = join(dirname(fileURLToPath(import.meta.url)), "../../build/browser/");
const puppeteer = createRequire(build)("puppeteer-core");

const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

function first(...paths) {
  const found = paths.find(existsSync);
  if (!found)
    throw new Error(`not installed: ${paths.join(", ")}`);
  return found;
}

function fresh(directory) {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  return directory;
}

async function withPuppeteer(options, console) {
  const browser = await puppeteer.launch({ headless: true, timeout: 60000, ...options });
  const page = (await browser.pages())[0] ?? await browser.newPage();
  await page.setViewport({ width: 1180, height: 900 });
  return {
    version: await browser.version(),
    open: url => page.goto(url),
    async results(timeout) {
      await page.waitForFunction("window.results !== undefined", { timeout, polling: 250 });
      return JSON.parse(await page.evaluate("JSON.stringify(window.results)"));
    },
    look: async code => JSON.parse(await page.evaluate(`JSON.stringify(${code})`)),
    screenshot: path => page.screenshot({ path, clip: { x: 0, y: 0, width: 1180, height: 1150 } }),
    page,
    console: () => console(browser, page),
    close: () => browser.close(),
  };
}

// A frame of another site is another process with a log of its own, which gives what it holds to whoever enables it.
async function chromiumConsole(browser, page) {
  const said = [];
  for (const client of new Set(page.frames().map(frame => frame.client))) {
    client.on("Log.entryAdded", ({ entry }) => said.push(`${entry.text} ${entry.url ?? ""}`));
    await client.send("Log.disable");
    await client.send("Log.enable");
  }
  return said;
}

// What is not a script's own goes to the browser's console, which a page of the browser itself can read.
async function firefoxConsole(browser) {
  const { result: { contexts } } = await browser.connection.send("browsingContext.getTree", { "moz:scope": "chrome" });
  const { result: { result } } = await browser.connection.send("script.evaluate", {
    expression: "JSON.stringify(Services.console.getMessageArray().map(message => message.message))",
    target: { context: contexts[0].context }, awaitPromise: false,
  });
  return JSON.parse(result.value).filter(line => !line.includes("chrome://"));
}

// Names of example.test are of one site, and nobody's: RFC 6761.
const NAMES = ["app.example.test", "api.example.test", "other.test"];

export const engines = {
  chromium: {
    packages: "chromium",
    names: NAMES,
    start: directory => withPuppeteer({
      browser: "chrome",
      executablePath: first("/usr/bin/chromium"),
      userDataDir: fresh(join(directory, "chromium")),
      args: [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--no-proxy-server",
        "--host-resolver-rules=MAP *.test 127.0.0.1",
      ],
    }, chromiumConsole),
  },

  firefox: {
    packages: "firefox-esr",
    names: NAMES,
    start: directory => withPuppeteer({
      browser: "firefox",
      executablePath: first("/usr/bin/firefox-esr", "/usr/bin/firefox"),
      userDataDir: fresh(join(directory, "firefox")),
      args: ["--remote-allow-system-access"],
      extraPrefsFirefox: {
        "network.dns.localDomains": [...NAMES, `tenant.${NAMES[0]}`].join(","),
        "network.proxy.type": 0,
        "app.update.enabled": false,
        "datareporting.policy.dataSubmissionEnabled": false,
        "network.captive-portal-service.enabled": false,
        "network.connectivity-service.enabled": false,
      },
    }, firefoxConsole),
  },

  // WebKit finds names under localhost by itself.
  webkit: {
    packages: "webkit2gtk-driver xvfb",
    names: ["localhost", "localhost", "127.0.0.1"],
    start: webkit,
  },
};

async function webkit(directory) {
  const home = fresh(join(directory, "webkit"));
  const library = readdirSync("/usr/lib").map(name => `/usr/lib/${name}`);
  const browser = first(...library.flatMap(path =>
    ["webkit2gtk-4.1", "webkit2gtk-4.0", "webkitgtk-6.0"].map(version => `${path}/${version}/MiniBrowser`)));
  const port = 4460 + process.pid % 500;
  const display = `:${100 + process.pid % 800}`;
  const children = [];
  const start = (command, args, env) =>
    children.push(spawn(command, args, { env: { ...process.env, ...env }, stdio: "ignore" }));
  const stop = async () => {
    for (const child of children.reverse()) {
      child.kill();
      await Promise.race([new Promise(resolve => child.once("exit", resolve)), sleep(3000)]);
    }
  };

  try {
    start(first("/usr/bin/Xvfb"), [display, "-screen", "0", "1280x1024x24", "-nolisten", "tcp"], {});
    start(first("/usr/bin/WebKitWebDriver"), [`--port=${port}`], {
      DISPLAY: display, HOME: home, XDG_RUNTIME_DIR: home, NO_AT_BRIDGE: "1", GDK_BACKEND: "x11",
      // Neither a session bus nor a GPU is there, and root has no use for a sandbox of its own.
      DBUS_SESSION_BUS_ADDRESS: "disabled:", WEBKIT_DISABLE_COMPOSITING_MODE: "1", LIBGL_ALWAYS_SOFTWARE: "1",
      WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1", GSETTINGS_BACKEND: "memory", no_proxy: "*",
    });

    const call = async (method, path, body) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, {
        method, body: body && JSON.stringify(body), headers: body && { "Content-Type": "application/json" },
        signal: AbortSignal.timeout(60000),
      });
      const { value } = await response.json();
      if (!response.ok)
        throw new Error(`WebDriver: ${value.error}: ${value.message}`);
      return value;
    };
    const session = await retry(() => call("POST", "/session", {
      capabilities: { alwaysMatch: {
        "webkitgtk:browserOptions": { binary: browser, args: ["--automation"] },
      } },
    }), 20);
    const path = `/session/${session.sessionId}`;
    return {
      version: `WebKitGTK ${session.capabilities.browserVersion}`,
      open: url => call("POST", `${path}/url`, { url }),
      async results(timeout) {
        for (const end = Date.now() + timeout; Date.now() < end; await sleep(250)) {
          const found = await call("POST", `${path}/execute/sync`, { script: "return JSON.stringify(window.results)", args: [] });
          if (found)
            return JSON.parse(found);
        }
        throw new Error("the page has no results");
      },
      look: async code => JSON.parse(await call("POST", `${path}/execute/sync`, { script: `return JSON.stringify(${code})`, args: [] })),
      // Neither its driver nor its standard output has the messages about CORS, whatever its settings say.
      console: async () => [],
      async close() {
        await call("DELETE", path).catch(() => {});
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function retry(action, tries) {
  for (;;)
    try {
      return await action();
    } catch (error) {
      // Only while nothing listens yet.
      if (--tries <= 0 || error.message.startsWith("WebDriver"))
        throw error;
      await sleep(250);
    }
}
