// SPDX-License-Identifier: Apache-2.0
// Where engines depart from a standard, and the sentence that they depart from. Those without a link are of the Fetch standard
// (https://fetch.spec.whatwg.org/). `cors probe` follows the standard.

const all = ["chromium", "firefox", "webkit"];

export const departures = [
  { engines: all, ids: [/^authorization-any$/],
    sentence: "CORS-preflight fetch, step 7.6: If one of request's header list's names is a CORS non-wildcard request-header name and is "
      + "not a byte-case-insensitive match for an item in headerNames, then return a network error." },
  { engines: all, ids: [/^safe-two-long$/],
    sentence: "CORS-unsafe request-header names: For each header of headers: If header is not a CORS-safelisted request-header, then "
      + "append header's name to unsafeNames. (Engines combine headers of the same name before.)" },
  { engines: all, ids: [/^raw-no-header-end$/],
    sentence: "RFC 9112, section 8: If a response terminates in the middle of the header section (before the empty line is received) [...] "
      + "then the client cannot assume that meaning has been conveyed." },
  { engines: ["chromium"], ids: [/^header-22$/],
    sentence: "A header (name, value) is forbidden request-header if these steps return true: [a list without User-Agent]" },
  { engines: ["chromium"], ids: [/^status-407$/],
    sentence: "HTTP-network-or-cache fetch: If response's status is 407, then: [...] Prompt the end user as appropriate in request's "
      + "traversable for user prompts and store the result as a proxy-authentication entry." },
  { engines: ["chromium"], ids: [/^redirect-empty-location$/],
    sentence: "Location URL: If location is a header value, then set location to the result of parsing location with response's URL." },
  { engines: ["firefox"], ids: [/^safe-Accept-(14|16|18)$/],
    sentence: "A CORS-unsafe request-header byte is a byte byte for which one of the following is true: byte is less than 0x20 and is not "
      + "0x09 HT; byte is 0x22 (\"), [...] or 0x7F DEL. (No byte above it.)" },
  { engines: ["firefox", "webkit"], ids: [/^redirect-api-\S+-303-PUT$/],
    sentence: "Main fetch: request's unsafe-request flag is set and either request's method is not a CORS-safelisted method or CORS-unsafe "
      + "request-header names with request's header list is not empty." },
  { engines: ["firefox"], ids: [/^redirect-api-(other|other-same|page)-\d+-PUT$/, /^redirect-own$/],
    sentence: "Serializing a request origin: If request's redirect-taint is not \"same-origin\", then return \"null\". (Preflights have the "
      + "origin.)" },
  { engines: ["firefox", "webkit"], ids: [/^redirect-authorization-(away|from-page)$/],
    sentence: "HTTP-redirect fetch: If request's current URL's origin is not same origin with locationURL's origin, then for each headerName "
      + "of CORS non-wildcard request-header name, delete headerName from request's header list." },
  { engines: ["webkit"], ids: [/^safe-Range-6$/],
    sentence: "Parse a single range header value: If data does not start with \"bytes\", then return failure." },
  { engines: ["webkit"], ids: [/^redirect-two-locations$/],
    sentence: "Extract header list values: If list contains more than one header and the ABNF of the header name allows a single header "
      + "only, then return failure." },
  { engines: ["webkit"], ids: [/^redirect-(three|three-any|page-api-page|page-api-page-null)$/],
    sentence: "HTTP fetch: If request's response tainting is \"cors\" and a CORS check for request and response returns failure, then "
      + "return a network error. (The check succeeds: the answer has *, and the credentials mode is not \"include\".)" },
];
