// SPDX-License-Identifier: Apache-2.0
// What pages fetch, and what servers answer, to compare `cors probe` with browsers (probe.mjs).
//
//   id       unique
//   to       the server of the first request: page, api or other
//   init     method, headers as pairs, credentials (a truth value), body
//   answers  one for each server that is asked in turn: { preflight, answer }. Each is [status, fields, body] or { raw }.
//            In fields, ORIGIN is the origin of the page, and PAGE/n, API/n and OTHER/n are URLs of the next answers.

const ALLOW = ["Access-Control-Allow-Origin", "ORIGIN"];
const ANY = ["Access-Control-Allow-Origin", "*"];
const CREDENTIALS = ["Access-Control-Allow-Credentials", "true"];
const methods = value => ["Access-Control-Allow-Methods", value];
const headers = value => ["Access-Control-Allow-Headers", value];
const REFUSED = [403, []];
const OK = [200, [ALLOW]];

const rows = [];

function add(id, init, preflight, answer, to = "api") {
  rows.push({ id, to, init, answers: [{ preflight, answer }] });
}

// The value of Access-Control-Allow-Origin, with and without credentials.
const origins = {
  same: [ALLOW], any: [ANY], none: [], null: [["Access-Control-Allow-Origin", "null"]],
  other: [["Access-Control-Allow-Origin", "https://other.example"]],
  slash: [["Access-Control-Allow-Origin", "ORIGIN/"]], upper: [["Access-Control-Allow-Origin", "UPPER"]],
  list: [["Access-Control-Allow-Origin", "ORIGIN, ORIGIN"]], twice: [ALLOW, ALLOW], "any-twice": [ANY, ANY],
  "any-and-same": [ANY, ALLOW], spaces: [["Access-Control-Allow-Origin", "  ORIGIN  "]],
  "any-spaces": [["Access-Control-Allow-Origin", " * "]], empty: [["Access-Control-Allow-Origin", ""]],
  quoted: [["Access-Control-Allow-Origin", "\"ORIGIN\""]], "lower-name": [["access-control-allow-origin", "ORIGIN"]],
  wildcard: [["Access-Control-Allow-Origin", "http://*"]],
};
for (const [name, fields] of Object.entries(origins)) {
  add(`origin-${name}`, {}, REFUSED, [200, fields]);
  add(`origin-${name}-credentials`, { credentials: true }, REFUSED, [200, [...fields, CREDENTIALS]]);
}

const credentials = ["true", "True", "TRUE", "false", "1", "", " true ", "true, true", "yes"];
credentials.forEach((value, at) =>
  add(`credentials-${at}`, { credentials: true }, REFUSED, [200, [ALLOW, ["Access-Control-Allow-Credentials", value]]]));
add("credentials-none", { credentials: true }, REFUSED, OK);
add("credentials-twice", { credentials: true }, REFUSED, [200, [ALLOW, CREDENTIALS, CREDENTIALS]]);
add("credentials-not-in-preflight", { method: "PUT", credentials: true }, [204, [ALLOW, methods("PUT")]], [200, [ALLOW, CREDENTIALS]]);
add("credentials-only-in-preflight", { method: "PUT", credentials: true }, [204, [ALLOW, CREDENTIALS, methods("PUT")]], OK);

// Methods: the script's, what is allowed, and whether with credentials.
const asked = [
  ["PUT", ["PUT"]], ["PUT", ["put"]], ["put", ["PUT"]], ["PUT", ["GET, PUT"]], ["PUT", ["GET,PUT,"]], ["PUT", ["GET", "PUT"]],
  ["PUT", []], ["PUT", ["*"]], ["PUT", ["GET, *"]], ["PUT", [""]], ["PUT", ["GET PUT"]], ["PUT", ["PUT, a b"]],
  ["PUT", ["PUT;DELETE"]], ["PUT", ["\"PUT\""]], ["DELETE", ["DELETE"]], ["patch", ["PATCH"]], ["patch", ["patch"]],
  ["PATCH", ["PATCH"]], ["PATCH", ["patch"]], ["OPTIONS", ["OPTIONS"]], ["OPTIONS", []], ["x-own", ["x-own"]], ["x-own", ["X-OWN"]],
  ["get", []], ["Post", []], ["hEaD", []], ["PROPFIND", ["PROPFIND"]],
];
asked.forEach(([method, lists], at) =>
  add(`method-${at}`, { method }, [204, [ALLOW, ...lists.map(methods)]], OK));
for (const list of ["*", "PUT", "*, PUT"])
  add(`method-credentials-${list}`, { method: "PUT", credentials: true }, [204, [ALLOW, CREDENTIALS, methods(list)]], [200, [ALLOW, CREDENTIALS]]);
add("method-star", { method: "*" }, [204, [ALLOW, methods("*")]], OK);
for (const method of ["TRACE", "connect", "Track", "a b", ""])
  add(`method-forbidden-${method}`, { method }, OK, OK);
for (const method of ["GET", "HEAD"])
  add(`body-${method}`, { method, body: "x" }, OK, OK);
add("body-POST", { method: "POST", body: "x" }, REFUSED, OK);
add("body-PUT", { method: "PUT", body: "x" }, [204, [ALLOW, methods("PUT")]], OK);

// Headers that need permission.
const own = [["X-Own", "1"]];
const permitted = [
  [own, ["x-own"]], [own, ["X-OWN"]], [own, ["a, x-own"]], [own, ["a", "x-own"]], [own, []], [own, ["*"]], [own, ["a, *"]],
  [own, [""]], [own, ["x own"]], [own, ["x-own, a b"]], [own, ["x-own;a"]], [own, ["x-*"]], [own, ["\"x-own\""]],
  [[["X-B", "1"], ["X-A", "2"]], ["x-a,x-b"]], [[["X-B", "1"], ["X-A", "2"]], ["x-a"]], [[["x-b", "1"], ["X-B", "2"]], ["x-b"]],
  [[["Authorization", "x"]], ["authorization"]], [[["Authorization", "x"]], ["*, Authorization"]], [[["*", "x"]], ["*"]],
  [[["Content-Type", "application/json"]], ["content-type"]], [[["Content-Type", "application/json"]], []],
  [[["Content-Type", "application/json"]], ["*"]], [[["User-Agent", "x"]], ["*"]], [[["X-Requested-With", "fetch"]], []],
];
permitted.forEach(([set, lists], at) => add(`header-${at}`, { headers: set }, [204, [ALLOW, ...lists.map(headers)]], OK));
add("authorization-any", { headers: [["Authorization", "x"]] }, [204, [ALLOW, headers("*")]], OK);
for (const list of ["*", "x-own"])
  add(`header-credentials-${list}`, { headers: own, credentials: true }, [204, [ALLOW, CREDENTIALS, headers(list)]], [200, [ALLOW, CREDENTIALS]]);

// Headers that need none, depending on their values. The preflight is refused, so that one shows.
const a = length => "a".repeat(length);
const values = {
  Accept: ["text/html", "a(b", "a:b", "a?b", "a@b", "a[b", "a\\b", "a{b", "a\"b", "a<b", "a=b;q=1", "a\tb", a(128), a(129), "\u00e9", "",
    "\u00e9".repeat(128), "\u00e9".repeat(129), "\u00ff"],
  "Accept-Language": ["de, en;q=0.5", "de_DE", "de/en", "*", a(128), a(129)],
  "Content-Language": ["de", "de:en", a(129)],
  "Content-Type": [
    "text/plain", "TEXT/plain", "text/plain;charset=utf-8", "text/plain; a=\"b\"", "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded", "application/json", "text/html", "text", "text/plain, text/html", " text/plain ",
    "text/plain;", `text/plain;${a(117)}`, `text/plain;${a(118)}`, "",
  ],
  Range: ["bytes=0-", "bytes=0-99", "bytes=-5", "bytes=9-1", "bytes=0-1,3-4", "bytes 0-1", "Bytes=0-1", "bytes=0-1 ", "bytes= 0-1", "x=0-1"],
};
for (const [name, list] of Object.entries(values))
  list.forEach((value, at) => add(`safe-${name}-${at}`, { headers: [[name, value]] }, REFUSED, OK));
add("safe-all", { headers: [["Accept", a(128)], ["Accept-Language", a(128)], ["Content-Language", a(128)]] }, REFUSED, OK);
add("safe-two", { headers: [["Accept", a(10)], ["Accept", a(10)]] }, REFUSED, OK);
add("safe-two-long", { headers: [["Accept", a(100)], ["Accept", a(100)]] }, REFUSED, OK);
add("safe-many", { headers: Array(9).fill(["Accept", a(128)]) }, REFUSED, OK);

// Headers that the browser leaves out.
const forbidden = [
  ["Cookie", "a=b"], ["Cookie2", "a"], ["Host", "other.example"], ["Origin", "https://other.example"], ["Referer", "/"],
  ["Accept-Charset", "utf-8"], ["Accept-Encoding", "gzip"], ["Access-Control-Request-Method", "PUT"],
  ["Access-Control-Request-Headers", "x"], ["Connection", "close"], ["Content-Length", "5"], ["Date", "x"], ["DNT", "1"],
  ["Expect", "x"], ["Keep-Alive", "x"], ["Set-Cookie", "a=b"], ["TE", "x"], ["Trailer", "x"], ["Transfer-Encoding", "x"],
  ["Upgrade", "x"], ["Via", "x"], ["Proxy-Own", "x"], ["Sec-Own", "x"], ["X-HTTP-Method-Override", "TRACE"],
  ["X-HTTP-Method", "PUT, connect"], ["X-Method-Override", "PUT"], ["X-HTTP-Method-Override", "PUT"],
];
forbidden.forEach(([name, value]) => add(`forbidden-${name}-${value}`, { headers: [[name, value]] }, REFUSED, OK));
for (const [name, value] of [["a b", "1"], ["", "1"], ["X-Own", "a\nb"], ["X-Own", "a\0b"], ["Accept", "\u20ac"]])
  add(`invalid-${JSON.stringify([name, value])}`, { headers: [[name, value]] }, OK, OK);

// The status of preflights and of answers.
for (const status of [200, 201, 202, 204, 205, 206, 299, 300, 304, 400, 401, 403, 404, 405, 500, 501, 503])
  add(`preflight-${status}`, { method: "PUT" }, [status, [ALLOW, methods("PUT")]], OK);
for (const status of [301, 302, 307, 308])
  add(`preflight-${status}`, { method: "PUT" }, [status, [ALLOW, methods("PUT"), ["Location", "API/0"]]], OK);
add("preflight-without-origin", { method: "PUT" }, [204, [methods("PUT")]], OK);
add("preflight-any", { method: "PUT" }, [204, [ANY, methods("PUT")]], OK);
add("preflight-any-credentials", { method: "PUT", credentials: true }, [204, [ANY, CREDENTIALS, methods("PUT")]], [200, [ALLOW, CREDENTIALS]]);
add("preflight-answer-without-origin", { method: "PUT" }, [204, [ALLOW, methods("PUT")]], [200, []]);
for (const status of [201, 204, 206, 226, 300, 400, 401, 403, 404, 407, 418, 429, 500, 502, 503, 599]) {
  add(`status-${status}`, {}, REFUSED, [status, [ALLOW]]);
  add(`status-${status}-blocked`, {}, REFUSED, [status, []]);
}

// The fields that a script can read.
const sent = [ALLOW, ["ETag", "1"], ["X-Own", "2"], ["Content-Type", "text/plain"], ["Cache-Control", "no-store"], ["Expires", "0"],
  ["Last-Modified", "x"], ["Pragma", "x"], ["Content-Language", "de"], ["Set-Cookie", "a=b"]];
const exposed = [[], ["etag"], ["ETag, X-Own"], ["etag", "x-own"], ["*"], ["*, etag"], ["Set-Cookie"], ["etag, a b"], ["etag x-own"], [""], ["\"etag\""]];
exposed.forEach((lists, at) => {
  const fields = lists.map(value => ["Access-Control-Expose-Headers", value]);
  add(`exposed-${at}`, {}, REFUSED, [200, [...sent, ...fields]]);
  add(`exposed-${at}-credentials`, { credentials: true }, REFUSED, [200, [...sent, CREDENTIALS, ...fields]]);
});
add("exposed-same-origin", {}, REFUSED, [200, sent.slice(1)], "page");

// Redirects: each status, method and way.
const last = fields => ({ preflight: [204, [...fields, methods("PUT"), headers("*, authorization")]], answer: [200, fields] });
const NULL = ["Access-Control-Allow-Origin", "null"];
const ways = {
  "api-api": ["api", [[ALLOW], "API/1"], [last([ALLOW])]],
  "api-other": ["api", [[ALLOW], "OTHER/1"], [last([NULL])]],
  "api-other-same": ["api", [[ALLOW], "OTHER/1"], [last([ALLOW])]],
  "page-api": ["page", [[], "API/1"], [last([ALLOW])]],
  "api-page": ["api", [[ALLOW], "PAGE/1"], [last([NULL])]],
};
for (const [name, [to, [fields, location], rest]] of Object.entries(ways))
  for (const status of [301, 302, 303, 307, 308])
    for (const method of ["GET", "POST", "PUT"]) {
      const init = { method, ...(method === "GET" ? {} : { body: "x" }) };
      const first = { preflight: [204, [...fields, methods("PUT")]], answer: [status, [...fields, ["Location", location]]] };
      rows.push({ id: `redirect-${name}-${status}-${method}`, to, init, answers: [first, ...rest] });
    }
function redirect(id, init, to, answers) {
  rows.push({ id: `redirect-${id}`, to, init, answers: answers.map(answer => ({ preflight: [204, [ANY, methods("PUT"), headers("*, authorization")]], answer })) });
}
const moved = (location, fields = [ANY]) => [302, [...fields, ["Location", location]]];
redirect("without-origin", {}, "api", [moved("API/1", []), OK]);
redirect("no-location", {}, "api", [[302, [ANY]]]);
redirect("empty-location", {}, "api", [moved(""), OK]);
redirect("two-locations", {}, "api", [[302, [ANY, ["Location", "API/1"], ["Location", "API/2"]]], OK, OK]);
redirect("invalid", {}, "api", [moved("http://[")]);
redirect("data", {}, "api", [moved("data:text/plain,x")]);
redirect("file", {}, "api", [moved("file:///etc/hosts")]);
redirect("user", {}, "api", [moved("USER@API/1"), OK]);
redirect("user-from-page", {}, "page", [moved("USER@API/1"), OK]);
redirect("three", {}, "page", [moved("API/1", []), moved("OTHER/2"), [200, [NULL]]]);
redirect("three-any", {}, "page", [moved("API/1", []), moved("OTHER/2"), [200, [ANY]]]);
redirect("three-and-back", {}, "api", [moved("OTHER/1"), moved("API/2"), [200, [NULL]]]);
redirect("page-page", {}, "page", [moved("PAGE/1", []), [200, []]]);
redirect("page-api-page", {}, "page", [moved("API/1", []), moved("PAGE/2"), [200, []]]);
redirect("page-api-page-null", {}, "page", [moved("API/1", []), moved("PAGE/2"), [200, [NULL]]]);
redirect("authorization", { headers: [["Authorization", "x"]] }, "api", [moved("API/1"), [200, [ANY]]]);
redirect("authorization-away", { headers: [["Authorization", "x"]] }, "api", [moved("OTHER/1"), [200, [ANY]]]);
redirect("authorization-from-page", { headers: [["Authorization", "x"]] }, "page", [moved("API/1", []), [200, [ANY]]]);
redirect("own", { headers: own }, "api", [moved("OTHER/1"), [200, [ANY]]]);
redirect("credentials", { credentials: true }, "api", [moved("OTHER/1", [ALLOW, CREDENTIALS]), [200, [NULL, CREDENTIALS]]]);
redirect("credentials-any", { credentials: true }, "api", [moved("API/1", [ALLOW, CREDENTIALS]), [200, [ANY, CREDENTIALS]]]);
for (const hops of [19, 20, 21])
  redirect(`${hops}-times`, {}, "api", [...Array.from({ length: hops }, (_, at) => moved(`API/${at + 1}`)), [200, [ANY]]]);

// Answers that are hardly HTTP.
const raw = {
  garbage: "garbage\r\n\r\n", nothing: "", "no-header-end": "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\n",
  half: "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 9\r\n\r\nhalf",
  "until-close": "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\n\r\nall",
  "http-1.0": "HTTP/1.0 200 OK\r\nAccess-Control-Allow-Origin: *\r\n\r\nall",
  chunks: "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n0\r\n\r\n",
  "early-hints": "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 0\r\n\r\n",
  "early-origin": "HTTP/1.1 103 Early Hints\r\nAccess-Control-Allow-Origin: *\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
  "no-reason": "HTTP/1.1 200\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 0\r\n\r\n",
  "bare-newlines": "HTTP/1.1 200 OK\nAccess-Control-Allow-Origin: *\nContent-Length: 0\n\n",
  "trailer-only": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nAccess-Control-Allow-Origin: *\r\n\r\n",
  "trailer": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Access-Control-Allow-Origin\r\n\r\n3\r\nall\r\n0\r\nAccess-Control-Allow-Origin: *\r\n\r\n",
};
for (const [name, text] of Object.entries(raw))
  add(`raw-${name}`, {}, REFUSED, { raw: text });
add("raw-preflight-garbage", { method: "PUT" }, { raw: "garbage\r\n\r\n" }, OK);
add("raw-preflight-nothing", { method: "PUT" }, { raw: "" }, OK);

export { rows };
