// SPDX-License-Identifier: Apache-2.0
// What a browser is asked to do, and what has to come of it. The demo page (index.html) and the tests in tests/browser
// run these same rows.
//
//   id       unique; every request of the row carries it as ?row=, by which nginx's log is searched
//   group, title   for the reader
//   from     the page that does it, one of names.js; several are run one after the other
//   run      does it in that page and says in a word what the script saw
//   saw      what that has to be
//   log      what nginx has to have logged, in order: METHOD STATUS $cors_status; "-" where that is empty
//   decides  the directive that the outcome hangs on
//   console  what the browser's console has to name, where the browser blocks
//   differs  other outcomes that engines are known for, each { saw, log, why }; they pass and are reported

"use strict";

const BLOCKED = "blocked";
const json = { "Content-Type": "application/json" };
const FONTS = "loads fonts of other origins without CORS, against the standard";
const STORAGE_ACCESS = "sends Origin with any request that may have cookies, from a frame of another site";
const withCookies = { credentials: "include" };

const rows = [
  { id: "get", group: "Requests", title: "GET", from: "front",
    run: c => c.fetch("/hello"), saw: "200", log: ["GET 200 ALLOWED"], decides: "cors_allow_origin" },
  { id: "post", group: "Requests", title: "POST with plain text, which needs no preflight", from: "front",
    run: c => c.fetch("/hello", { method: "POST", body: "text" }),
    saw: "200", log: ["POST 200 ALLOWED"], decides: "cors_allow_origin" },
  { id: "post-json", group: "Requests", title: "POST with JSON", from: "front",
    run: c => c.fetch("/hello", { method: "POST", headers: json, body: "{}" }),
    saw: "200", log: ["OPTIONS 204 PREFLIGHT", "POST 200 ALLOWED"], decides: "cors_allow_headers" },
  ...["PUT", "DELETE", "PATCH"].map(method => ({
    id: method.toLowerCase(), group: "Requests", title: method, from: "front",
    run: c => c.fetch("/hello", { method }),
    saw: "200", log: ["OPTIONS 204 PREFLIGHT", `${method} 200 ALLOWED`], decides: "cors_allow_methods" })),
  { id: "header", group: "Requests", title: "GET with X-Requested-With", from: "front",
    run: c => c.fetch("/hello", { headers: { "X-Requested-With": "fetch" } }),
    saw: "200", log: ["OPTIONS 204 PREFLIGHT", "GET 200 ALLOWED"], decides: "cors_allow_headers" },
  { id: "progress", group: "Requests", title: "XMLHttpRequest POST that listens to its upload", from: "front",
    run: c => c.upload("/hello"),
    saw: "200", log: ["OPTIONS 204 PREFLIGHT", "POST 200 ALLOWED"], decides: "cors_allow_origin" },

  { id: "method-missing", group: "Refused", title: "PATCH where it is not on the list", from: "front",
    run: c => c.fetch("/strict/hello", { method: "PATCH" }),
    saw: BLOCKED, log: ["OPTIONS 204 PREFLIGHT_METHOD_DENIED"], decides: "cors_allow_methods",
    console: /\bPATCH\b|Access-Control-Allow-Methods/ },
  { id: "header-missing", group: "Refused", title: "GET with X-Custom, which is not on the list", from: "front",
    run: c => c.fetch("/strict/hello", { headers: { "X-Custom": "1" } }),
    saw: BLOCKED, log: ["OPTIONS 204 PREFLIGHT_HEADER_DENIED"], decides: "cors_allow_headers",
    console: /\bx-custom\b/i },
  { id: "denied", group: "Refused", title: "GET from another site", from: "other",
    run: c => c.fetch("/hello"), saw: BLOCKED, log: ["GET 200 DENIED"], decides: "cors_allow_origin",
    console: /Access-Control-Allow-Origin/i },
  { id: "denied-put", group: "Refused", title: "PUT from another site", from: "other",
    run: c => c.fetch("/hello", { method: "PUT" }),
    saw: BLOCKED, log: ["OPTIONS 403 PREFLIGHT_ORIGIN_DENIED"], decides: "cors_allow_origin",
    console: /Access-Control-Allow-Origin|preflight/i },
  { id: "denied-post", group: "Refused", title: "POST from another site: it arrives, and its answer is kept from the script",
    from: "other", run: c => c.fetch("/hello", { method: "POST", body: "text" }),
    saw: BLOCKED, log: ["POST 200 DENIED"], decides: "cors_allow_origin", console: /Access-Control-Allow-Origin/i },
  { id: "no-cors", group: "Refused", title: "GET from another site in mode no-cors: opaque", from: "other",
    run: c => c.fetch("/hello", { mode: "no-cors" }), saw: "opaque", log: ["GET 200 -"], decides: "the browser" },

  { id: "tenant", group: "Origins", title: "GET from a subdomain, under a pattern", from: "tenant",
    run: c => c.fetch("/hello"), saw: "200", log: ["GET 200 ALLOWED"], decides: "cors_allow_origin http://*.…" },
  { id: "tenant-put", group: "Origins", title: "PUT with cookies from a subdomain", from: "tenant",
    run: c => c.fetch("/hello", { method: "PUT", ...withCookies }),
    saw: "200", log: ["OPTIONS 204 PREFLIGHT", "PUT 200 ALLOWED"], decides: "cors_allow_origin http://*.…" },
  { id: "regex", group: "Origins", title: "GET from a subdomain, under an expression", from: "tenant",
    run: c => c.fetch("/regex/hello"), saw: "200", log: ["GET 200 ALLOWED"], decides: "cors_allow_origin_regex" },
  { id: "regex-denied", group: "Origins", title: "GET from an origin that the expression does not match", from: "front",
    run: c => c.fetch("/regex/hello"), saw: BLOCKED, log: ["GET 200 DENIED"], decides: "cors_allow_origin_regex",
    console: /Access-Control-Allow-Origin/i },
  { id: "null", group: "Origins", title: "GET from a sandboxed frame, where null is allowed", from: "null",
    run: c => c.fetch("/opaque/hello"), saw: "200", log: ["GET 200 ALLOWED"], decides: "cors_allow_origin null" },
  { id: "null-denied", group: "Origins", title: "GET from a sandboxed frame, where null is not allowed", from: "null",
    run: c => c.fetch("/hello"), saw: BLOCKED, log: ["GET 200 DENIED"], decides: "cors_allow_origin",
    console: /Access-Control-Allow-Origin/i },
  { id: "any", group: "Origins", title: "GET from another site of what is public", from: "other",
    run: c => c.fetch("/public/hello"), saw: "200", log: ["GET 200 ALLOWED"], decides: "cors_allow_origin *" },
  { id: "any-null", group: "Origins", title: "GET from a sandboxed frame of what is public", from: "null",
    run: c => c.fetch("/public/hello"), saw: "200", log: ["GET 200 ALLOWED"], decides: "cors_allow_origin *" },
  { id: "any-patch", group: "Origins", title: "PATCH with a header, where both lists are *", from: "other",
    run: c => c.fetch("/public/hello", { method: "PATCH", headers: { "X-Any": "1" } }),
    saw: "200", log: ["OPTIONS 204 PREFLIGHT", "PATCH 200 ALLOWED"], decides: "cors_allow_methods *, cors_allow_headers *" },
  { id: "any-authorization", group: "Origins", title: "GET with Authorization, which * does not cover", from: "other",
    run: c => c.fetch("/public/hello", { headers: { Authorization: "Bearer token" } }),
    saw: BLOCKED, log: ["OPTIONS 204 PREFLIGHT_HEADER_DENIED"], decides: "cors_allow_headers *",
    console: /\bauthorization\b/i,
    differs: [{ saw: "200", log: ["OPTIONS 204 PREFLIGHT_HEADER_DENIED", "GET 200 ALLOWED"],
      why: "takes * for Authorization too, against the standard" }] },

  { id: "cookie", group: "Credentials", title: "Sign in, and GET with the cookie", from: "front",
    run: async c => `${await c.fetch("/login", withCookies)}, ${await c.session("/hello", withCookies)}`,
    saw: "204, session alice", log: ["GET 204 ALLOWED", "GET 200 ALLOWED"], decides: "cors_allow_credentials" },
  { id: "cookie-json", group: "Credentials", title: "POST with JSON and the cookie", from: "front",
    run: c => c.session("/hello", { method: "POST", headers: json, body: "{}", ...withCookies }),
    saw: "session alice", log: ["OPTIONS 204 PREFLIGHT", "POST 200 ALLOWED"], decides: "cors_allow_headers" },
  { id: "no-cookie", group: "Credentials", title: "GET without asking for credentials: no cookie", from: "front",
    run: c => c.session("/hello"), saw: "no session", log: ["GET 200 ALLOWED"], decides: "the browser" },
  { id: "cookie-second", group: "Credentials", title: "GET with the cookie from a second allowed origin", from: "second",
    run: c => c.session("/hello", withCookies),
    saw: "session alice", log: ["GET 200 ALLOWED"], decides: "cors_allow_credentials" },
  { id: "cookie-put", group: "Credentials", title: "PUT with the cookie, which the preflight does not carry", from: "front",
    run: c => c.session("/hello", { method: "PUT", ...withCookies }),
    saw: "session alice", log: ["OPTIONS 204 PREFLIGHT", "PUT 200 ALLOWED"], decides: "cors_allow_credentials" },
  { id: "cookie-any", group: "Credentials", title: "GET with credentials of what is public", from: "front",
    run: c => c.fetch("/public/hello", withCookies),
    saw: BLOCKED, log: ["GET 200 ALLOWED"], decides: "cors_allow_credentials off", console: /credential|wildcard|\*/i },
  { id: "authorization", group: "Credentials", title: "GET with Authorization, behind auth_basic", from: "front",
    run: c => c.fetch("/private/hello", { headers: { Authorization: `Basic ${btoa("alice:wonderland")}` } }),
    saw: "200", log: ["OPTIONS 204 PREFLIGHT", "GET 200 ALLOWED"], decides: "cors_allow_headers" },
  { id: "unauthorized", group: "Credentials", title: "GET without it: the script can read the 401", from: "front",
    run: c => c.fetch("/private/hello"), saw: "401", log: ["GET 401 ALLOWED"], decides: "cors_allow_origin" },

  { id: "exposed", group: "Responses", title: "A response header that is exposed, and one that is not", from: "front",
    run: c => c.headers("/hello", "X-Answered-By", "X-Internal"),
    saw: "X-Answered-By app, X-Internal hidden", log: ["GET 200 ALLOWED"], decides: "cors_expose_headers" },
  { id: "exposed-any", group: "Responses", title: "Response headers under *", from: "other",
    run: c => c.headers("/public/hello", "X-Answered-By", "X-Internal"),
    saw: "X-Answered-By app, X-Internal app", log: ["GET 200 ALLOWED"], decides: "cors_expose_headers *" },
  { id: "404", group: "Responses", title: "404", from: "front",
    run: c => c.fetch("/missing"), saw: "404", log: ["GET 404 ALLOWED"], decides: "cors_allow_origin" },
  { id: "502", group: "Responses", title: "502: the application is down", from: "front",
    run: c => c.fetch("/down"), saw: "502", log: ["GET 502 ALLOWED"], decides: "cors_allow_origin" },
  { id: "413", group: "Responses", title: "413: the body is too large", from: "front",
    run: c => c.fetch("/upload", { method: "POST", body: "x".repeat(4000) }),
    saw: "413", log: ["POST 413 ALLOWED"], decides: "cors_allow_origin" },
  { id: "redirect", group: "Responses", title: "Redirect within the API", from: "front",
    run: c => c.fetch("/moved"), saw: "200", log: ["GET 307 ALLOWED", "GET 200 ALLOWED"], decides: "cors_allow_origin" },
  { id: "redirect-put", group: "Responses", title: "Redirect of a PUT within the API", from: "front",
    run: c => c.fetch("/moved", { method: "PUT" }), saw: "200",
    log: ["OPTIONS 204 PREFLIGHT", "PUT 307 ALLOWED", "OPTIONS 204 PREFLIGHT", "PUT 200 ALLOWED"], decides: "cors_allow_methods" },
  { id: "redirect-away", group: "Responses", title: "Redirect to another origin, which makes the origin null", from: "front",
    run: c => c.fetch("/moved-away"), saw: BLOCKED, log: ["GET 307 ALLOWED", "GET 200 DENIED"], decides: "cors_allow_origin",
    console: /Access-Control-Allow-Origin/i },

  { id: "font", group: "Assets", title: "A font", from: "front",
    run: c => c.font("/assets/demo.ttf"), saw: "loaded", log: ["GET 200 ALLOWED"], decides: "cors_allow_origin",
    differs: [{ saw: "loaded", log: ["GET 200 -"], why: FONTS }] },
  { id: "font-denied", group: "Assets", title: "A font, from another site", from: "other",
    run: c => c.font("/assets/demo.ttf"), saw: BLOCKED, log: ["GET 200 DENIED"], decides: "cors_allow_origin",
    console: /Access-Control-Allow-Origin/i, differs: [{ saw: "loaded", log: ["GET 200 -"], why: FONTS }] },
  { id: "image", group: "Assets", title: "An image with crossorigin, whose pixels the script can read", from: "front",
    run: c => c.image("/assets/pixel.gif", true), saw: "loaded, readable", log: ["GET 200 ALLOWED"], decides: "cors_allow_origin" },
  { id: "image-denied", group: "Assets", title: "An image with crossorigin, from another site", from: "other",
    run: c => c.image("/assets/pixel.gif", true), saw: BLOCKED, log: ["GET 200 DENIED"], decides: "cors_allow_origin",
    console: /Access-Control-Allow-Origin/i },
  { id: "image-plain", group: "Assets", title: "An image without crossorigin: shown, but not readable", from: "other",
    run: c => c.image("/assets/pixel.gif", false), saw: "loaded, not readable", log: ["GET 200 -"], decides: "the browser",
    differs: [{ saw: "loaded, not readable", log: ["GET 200 DENIED"], why: STORAGE_ACCESS }] },

  { id: "enforce", group: "Enforcement", title: "POST", from: "front",
    run: c => c.fetch("/enforced/hello", { method: "POST", body: "text" }),
    saw: "200", log: ["POST 200 ALLOWED"], decides: "cors_enforce" },
  { id: "enforce-denied", group: "Enforcement", title: "POST from another site: it does not arrive", from: "other",
    run: c => c.fetch("/enforced/hello", { method: "POST", body: "text" }),
    saw: BLOCKED, log: ["POST 403 REJECTED"], decides: "cors_enforce", console: /Access-Control-Allow-Origin/i },
  { id: "enforce-no-cors", group: "Enforcement", title: "POST from another site in mode no-cors", from: "other",
    run: c => c.fetch("/enforced/hello", { method: "POST", body: "text", mode: "no-cors" }),
    saw: "opaque", log: ["POST 403 REJECTED"], decides: "cors_enforce" },
  { id: "form", group: "Enforcement", title: "A form with POST", from: "front",
    run: c => c.form("/enforced/hello"), saw: "sent", log: ["POST 200 ALLOWED"], decides: "cors_enforce" },
  { id: "form-denied", group: "Enforcement", title: "A form with POST, from another site", from: "other",
    run: c => c.form("/enforced/hello"), saw: "sent", log: ["POST 403 REJECTED"], decides: "cors_enforce" },
  { id: "form-open", group: "Enforcement", title: "The same without enforcement: it arrives", from: "other",
    run: c => c.form("/hello"), saw: "sent", log: ["POST 200 DENIED"], decides: "cors_enforce off" },
  { id: "form-dry", group: "Enforcement", title: "The same while trying enforcement out", from: "other",
    run: c => c.form("/dry/hello"), saw: "sent", log: ["POST 200 REJECTED_DRY_RUN"], decides: "cors_dry_run" },
  { id: "enforce-image", group: "Enforcement", title: "An image without crossorigin, which has no Origin", from: "other",
    run: c => c.image("/enforced/pixel.gif", false), saw: "loaded, not readable", log: ["GET 200 -"], decides: "cors_enforce",
    differs: [{ saw: BLOCKED, log: ["GET 403 REJECTED"], why: STORAGE_ACCESS }] },
  { id: "enforce-own-image", group: "Enforcement", title: "The same in a page that is in no frame", from: "front",
    run: c => c.image("/enforced/pixel.gif", false), saw: "loaded, not readable", log: ["GET 200 -"], decides: "cors_enforce" },
  { id: "socket", group: "Enforcement", title: "A WebSocket", from: "front",
    run: c => c.socket("/enforced/socket"), saw: "echo", log: ["GET 101 ALLOWED"], decides: "cors_enforce" },
  { id: "socket-denied", group: "Enforcement", title: "A WebSocket, from another site", from: "other",
    run: c => c.socket("/enforced/socket"), saw: BLOCKED, log: ["GET 403 REJECTED"], decides: "cors_enforce" },
  { id: "socket-open", group: "Enforcement", title: "The same without enforcement: CORS does not stop it", from: "other",
    run: c => c.socket("/socket"), saw: "echo", log: ["GET 101 DENIED"], decides: "cors_enforce off" },

  { id: "vary", group: "Caches", title: "Two origins in turn, of what the browser may cache", from: ["front", "second"],
    run: c => c.fetch("/assets/cached.json"), saw: "200; 200", log: ["GET 200 ALLOWED", "GET 200 ALLOWED"], decides: "Vary: Origin",
    differs: [{ saw: "200; 200", log: ["GET 200 ALLOWED", "GET 304 ALLOWED"],
      why: "asks with If-None-Match for another origin, and takes the headers of the 304, as the standard has it" }] },
  { id: "no-vary", group: "Caches", title: "The same with add_header and no Vary: the second one gets what the first one got",
    from: ["front", "second"], run: c => c.fetch("/assets/static.json"),
    saw: `200; ${BLOCKED}`, log: ["GET 200 -"], decides: "add_header Access-Control-Allow-Origin",
    differs: [{ saw: "200; 200", log: ["GET 200 -", "GET 200 -"],
      why: "does not take for one origin what it has cached for another, even without Vary" }] },
  { id: "cached", group: "Caches", title: "The same origin twice: the second answer is the browser's own", from: ["front", "front"],
    run: c => c.fetch("/assets/cached.json"), saw: "200; 200", log: ["GET 200 ALLOWED"], decides: "Vary: Origin",
    differs: [{ saw: "200; 200", log: ["GET 200 ALLOWED", "GET 200 ALLOWED"], why: "has cached nothing" }] },
  { id: "max-age", group: "Caches", title: "PUT twice, while the preflight is remembered", from: "front",
    run: async c => `${await c.fetch("/hello", { method: "PUT" })}, ${await c.fetch("/hello", { method: "PUT" })}`,
    saw: "200, 200", log: ["OPTIONS 204 PREFLIGHT", "PUT 200 ALLOWED", "PUT 200 ALLOWED"], decides: "cors_max_age 10m" },
  { id: "max-age-0", group: "Caches", title: "PUT twice, where it is not", from: "front",
    run: async c => `${await c.fetch("/fresh/hello", { method: "PUT" })}, ${await c.fetch("/fresh/hello", { method: "PUT" })}`,
    saw: "200, 200", log: ["OPTIONS 204 PREFLIGHT", "PUT 200 ALLOWED", "OPTIONS 204 PREFLIGHT", "PUT 200 ALLOWED"],
    decides: "cors_max_age 0" },
];

// What the rows are written in terms of. `token` makes the URLs those of this row and run alone.
function client(token) {
  const url = path => `${names.api}${path}?row=${token}`;
  const once = (target, ...events) => Promise.race([
    ...events.map(event => new Promise(resolve => target.addEventListener(event, resolve, { once: true }))),
    new Promise((_, reject) => setTimeout(reject, 8000, new Error("nothing has happened for 8 seconds"))),
  ]);
  // Blocked by the browser and refused by the network look alike to a script; the log tells them apart.
  const answer = async (path, options, read) => {
    let response;
    try {
      response = await fetch(url(path), options);
    } catch (error) {
      return BLOCKED;
    }
    return read(response);
  };

  return {
    fetch: (path, options) => answer(path, options, async response => {
      await response.text();
      return response.type === "opaque" ? "opaque" : String(response.status);
    }),
    session: (path, options) => answer(path, options, async response => {
      const { session } = await response.json();
      return session ? `session ${session}` : "no session";
    }),
    headers: (path, ...wanted) => answer(path, {}, response =>
      wanted.map(name => `${name} ${response.headers.get(name) ?? "hidden"}`).join(", ")),
    async upload(path) {
      const request = new XMLHttpRequest();
      request.upload.addEventListener("progress", () => {});
      request.open("POST", url(path));
      request.send("text");
      const event = await once(request, "load", "error");
      return event.type === "load" ? String(request.status) : BLOCKED;
    },
    async font(path) {
      try {
        await new FontFace("demo", `url(${url(path)})`).load();
        return "loaded";
      } catch {
        return BLOCKED;
      }
    },
    async image(path, crossorigin) {
      const image = new Image();
      if (crossorigin)
        image.crossOrigin = "anonymous";
      image.src = url(path);
      if ((await once(image, "load", "error")).type === "error")
        return BLOCKED;
      const canvas = document.createElement("canvas").getContext("2d");
      canvas.drawImage(image, 0, 0);
      try {
        canvas.getImageData(0, 0, 1, 1);
        return "loaded, readable";
      } catch {
        return "loaded, not readable";
      }
    },
    async form(path) {
      const frame = document.createElement("iframe");
      frame.name = `form-${token}`;
      frame.className = "aside";
      frame.title = "Where a form's answer goes";
      frame.tabIndex = -1;
      document.body.append(frame);
      const form = document.createElement("form");
      form.hidden = true;
      form.method = "post";
      form.action = url(path);
      form.target = frame.name;
      form.innerHTML = '<input name="amount" value="100">';
      document.body.append(form);
      form.submit();
      // The answer is another origin's, whose document the page does not see; the empty one that was there it does.
      for (let tries = 0; frame.contentDocument && tries < 400; tries++)
        await new Promise(resolve => setTimeout(resolve, 20));
      if (frame.contentDocument)
        throw new Error("the form has had no answer for 8 seconds");
      form.remove();
      frame.remove();
      return "sent";
    },
    async socket(path) {
      const socket = new WebSocket(url(path).replace("http", "ws"));
      if ((await once(socket, "open", "error")).type === "error")
        return BLOCKED;
      socket.send("echo");
      const { data } = await once(socket, "message", "error");
      socket.close();
      await once(socket, "close");
      return data;
    },
  };
}

// Runs a row in this page.
async function runHere(id, token) {
  try {
    return await rows.find(row => row.id === id).run(client(token));
  } catch (error) {
    return `error: ${error.message}`;
  }
}

// A page in a frame does what the page around it asks for.
if (window.parent !== window)
  addEventListener("message", async ({ data, source }) => {
    source.postMessage({ token: data.token, saw: await runHere(data.id, data.token) }, "*");
  });
