// SPDX-License-Identifier: Apache-2.0
//! `cors probe` with servers that answer badly, or not at all.

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use common::cors;
use serde_json::{json, Value};

/// A server that answers each connection in this way; its URL.
fn server(answer: fn(&mut TcpStream) -> std::io::Result<()>) -> String {
    server_with(move |stream, _| answer(stream))
}

/// The same with the bytes of the request.
fn server_with(answer: impl Fn(&mut TcpStream, &[u8]) -> std::io::Result<()> + Send + Sync + 'static) -> String {
    let answer = std::sync::Arc::new(answer);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), answer.clone());
            thread::spawn(move || {
                let mut request = [0; 4096];
                let length = stream.read(&mut request).unwrap_or(0);
                let _ = answer(&mut stream, &request[..length]);
            });
        }
    });
    url
}

/// A URL with a port that nothing listens on.
fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port())
}

/// An answer that the script may read, and then this.
macro_rules! allowed {
    ($rest:literal) => {
        concat!("HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\n", $rest).as_bytes()
    };
}

#[test]
fn bad_answers() {
    type Answer = fn(&mut TcpStream) -> std::io::Result<()>;
    let rows: [(Answer, i32, &str); 11] = [
        (|s| s.write_all(b"\x00\x01garbage\r\n\r\n"), 2, "the answer is not valid HTTP"),
        (|_| Ok(()), 2, "the connection was closed without an answer"),
        (|s| s.write_all(b"HTTP/1.1 200 OK\r\nAccess-Control"), 2, "no answer: "),
        (
            |s| {
                s.write_all(b"HTTP/1.1 200 OK\r\n")?;
                thread::sleep(Duration::from_secs(20));
                Ok(())
            },
            2,
            "the header did not end within 1 s",
        ),
        (
            |_| {
                thread::sleep(Duration::from_secs(20));
                Ok(())
            },
            2,
            "no answer within 1 s",
        ),
        (
            |s| {
                s.write_all(b"HTTP/1.1 200 OK\r\n")?;
                loop {
                    s.write_all(b"X-Again: and again and again\r\n")?;
                }
            },
            2,
            "the header did not end within 262144 bytes",
        ),
        (
            |s| {
                s.write_all(b"HTTP/1.1 200 OK\r\nX-Long: ")?;
                s.write_all(&vec![b'x'; 5 << 20])?;
                s.write_all(b"\r\n\r\n")
            },
            2,
            "the header has a line that is too long",
        ),
        (
            |s| s.write_all(allowed!("Content-Length: 9\r\n\r\nhalf")),
            0,
            "but reading the body fails: the body ended early",
        ),
        (
            |s| {
                s.write_all(allowed!("\r\n"))?;
                loop {
                    s.write_all(&[b'x'; 4096])?;
                }
            },
            0,
            "but reading the body fails: the body did not end within 1048576 bytes",
        ),
        (
            |s| {
                s.write_all(allowed!("Content-Length: 9\r\n\r\nslow"))?;
                thread::sleep(Duration::from_secs(20));
                Ok(())
            },
            0,
            "but reading the body fails: the body did not end within 1 s",
        ),
        (|s| s.write_all(b"HTTP/1.1 200 OK\r\nX: \x1b[31mred\x1b[0m\r\nContent-Length: 0\r\n\r\n"), 1, "Blocked: "),
    ];
    let check = |(answer, code, message): (Answer, i32, &str)| {
        let start = Instant::now();
        let ran = cors(&["probe", &server(answer), "-o", "https://app.example.com", "--timeout", "1"], "");
        let said = ran.out.clone() + &ran.err;
        assert!(said.contains(message), "{message}: {said}");
        assert!(!said.contains('\x1b'), "{said}");
        assert_eq!(ran.code, Some(code), "{message}: {said}");
        assert!(start.elapsed() < Duration::from_secs(8), "{message}");
    };
    // At once, because most of the time they wait.
    thread::scope(|scope| rows.map(|row| scope.spawn(move || check(row))).map(|thread| thread.join().unwrap()));
    let ran = cors(&["probe", &closed_port(), "-o", "https://app.example.com"], "");
    assert_eq!((ran.code, ran.err.contains("no connection")), (Some(2), true), "{}", ran.err);
}

#[test]
fn trailers_are_not_fields() {
    for body in ["", "4\r\nbody\r\n"] {
        let answer = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}0\r\nAccess-Control-Allow-Origin: *\r\n\r\n"
        );
        let url = server_with(move |s, _| s.write_all(answer.as_bytes()));
        let ran = cors(&["probe", &url, "-o", "https://app.example.com"], "");
        assert_eq!((ran.code, ran.out.contains("Blocked: ")), (Some(1), true), "{body}: {}", ran.out);
        assert!(!ran.out.contains("\n    Access-Control-Allow-Origin: *\n"), "{}", ran.out);
    }
    let url = server(|s| {
        s.write_all(allowed!("Transfer-Encoding: chunked\r\n\r\n0\r\n"))?;
        loop {
            s.write_all(b"X-Again: and again and again\r\n")?;
        }
    });
    let ran = cors(&["probe", &url, "-o", "https://app.example.com"], "");
    assert!(ran.out.contains("the trailers did not end within 262144 bytes"), "{}{}", ran.out, ran.err);
}

#[test]
fn lines_that_go_on() {
    for start in [" ", "\t"] {
        let answer = format!(
            "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin:\r\n{start}https://app.example.com\r\nContent-Length: 0\r\n\r\n"
        );
        let url = server_with(move |s, _| s.write_all(answer.as_bytes()));
        let ran = cors(&["probe", &url, "-o", "https://app.example.com"], "");
        assert!(
            ran.out.contains("https://app.example.com\n\nBlocked") || ran.code == Some(0),
            "{}{}",
            ran.out,
            ran.err
        );
    }
}

#[test]
fn values_are_bytes() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let url = server_with(move |s, request| {
        let _ = sender.send(request.to_vec());
        s.write_all(allowed!("Content-Length: 0\r\n\r\n"))
    });
    let ran = cors(
        &["probe", &url, "-o", "https://app.example.com", "-H", "Accept: \u{fc}\u{ff}", "-H", "accept: \u{80}"],
        "",
    );
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    let sent = receiver.recv().unwrap();
    let has = |bytes: &[u8]| sent.windows(bytes.len()).any(|window| window.eq_ignore_ascii_case(bytes));
    assert!(
        has(b"Accept: \xfc\xff, \x80\r\n") || has(b"accept: \xfc\xff\r\naccept: \x80\r\n"),
        "{}",
        sent.escape_ascii()
    );
    // 128 bytes need no permission, which as UTF-8 would be 256.
    let value = format!("Accept: {}", "\u{e9}".repeat(128));
    let ran = cors(&["probe", &url, "-o", "https://app.example.com", "-H", &value], "");
    assert_eq!((ran.code, ran.out.contains("No preflight")), (Some(0), true), "{}", ran.out);
    let ran = cors(&["probe", &url, "-o", "https://app.example.com", "-H", "X-Own: \u{20ac}"], "");
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.contains("has a character above U+00FF, which no header can have"), "{}", ran.out);
}

#[test]
fn what_a_blocked_request_needs() {
    let url = server(|s| {
        s.write_all(b"HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Origin: https://app.example.com\r\nAccess-Control-Allow-Methods: GET\r\n\r\n")
    });
    let arguments = ["probe", &url, "-o", "https://app.example.com", "-m", "put"];
    let ran = cors(&arguments, "");
    for line in [
        "A preflight, because the method PUT needs permission.",
        "  HTTP/1.1 204",
        "Blocked: the method PUT is not listed.",
        "  sent:    Access-Control-Allow-Methods: GET",
        "  needed:  Access-Control-Allow-Methods: GET, PUT",
        "  nginx with ngx-http-cors:  cors_allow_methods GET PUT;",
    ] {
        assert!(ran.out.lines().any(|other| other == line), "{line}\n{}", ran.out);
    }
    assert_eq!(ran.code, Some(1));
    let ran = cors(&[&arguments[..], &["--json"]].concat(), "");
    assert!(ran.out.contains("\"result\": \"blocked\"") && ran.out.contains("\"check\": \"method\""), "{}", ran.out);
}

/// A server with a preflight, a redirect to another path, and a field of each kind.
fn server_of_all() -> String {
    server_with(|s, request| {
        s.write_all(if request.starts_with(b"OPTIONS") {
            b"HTTP/1.1 204 No Content\r\nServer: any\r\nAccess-Control-Allow-Origin: https://app.example.com\r\n\
              Access-Control-Allow-Credentials: true\r\nAccess-Control-Allow-Methods: PUT\r\n\
              Access-Control-Allow-Headers: X-Own\r\nVary: Origin\r\n\r\n"
        } else if request.starts_with(b"GET /moved") {
            b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\nAccess-Control-Allow-Origin: *\r\n\r\n"
        } else if request.starts_with(b"GET /bare") {
            b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\n\r\n"
        } else {
            b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: https://app.example.com\r\n\
              Access-Control-Allow-Credentials: true\r\nAccess-Control-Expose-Headers: X-Seen\r\nX-Seen: a\x1bb\r\n\
              X-Hidden: c\r\nSet-Cookie: d=e\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nVary: Origin\r\n\r\nhi"
        })
    })
}

#[test]
fn whole_exchanges() {
    let url = server_of_all();
    let with_credentials = ["-m", "PUT", "-H", "X-Own: 1", "--credentials", "--cookie", "key=value", "--data", "body"];
    let answer = "  HTTP/1.1 200
    Access-Control-Allow-Origin: https://app.example.com
    Access-Control-Allow-Credentials: true
    Access-Control-Expose-Headers: X-Seen
    Vary: Origin

Readable: the script gets the response with status 200.
  fields that it can read: X-Seen, Content-Type, Content-Length
  hidden from it:          access-control-allow-origin, access-control-allow-credentials, \
access-control-expose-headers, x-hidden, set-cookie, vary
";
    let rows: [(&str, &[&str], String); 3] = [
        (
            "",
            &with_credentials,
            format!(
                "A preflight, because the method PUT needs permission, and the script sets x-own.
  OPTIONS URL  (preflight)
    Access-Control-Request-Method: PUT
    Access-Control-Request-Headers: x-own
    Origin: https://app.example.com
  HTTP/1.1 204
    Access-Control-Allow-Origin: https://app.example.com
    Access-Control-Allow-Credentials: true
    Access-Control-Allow-Methods: PUT
    Access-Control-Allow-Headers: X-Own
    Vary: Origin
  PUT URL
    X-Own: 1
    Content-Type: text/plain;charset=UTF-8
    Origin: https://app.example.com
    Cookie: key=value
{answer}"
            ),
        ),
        (
            "moved",
            &[],
            format!(
                "No preflight: GET and its headers need no permission.
  GET URLmoved
    Origin: https://app.example.com
  HTTP/1.1 302
    Location: /
    Access-Control-Allow-Origin: *
A redirect to URL.
No preflight: GET and its headers need no permission.
  GET URL
    Origin: https://app.example.com
{answer}"
            ),
        ),
        (
            "bare",
            &[],
            "No preflight: GET and its headers need no permission.
  GET URLbare
    Origin: https://app.example.com
  HTTP/1.1 200
    Access-Control-Allow-Origin: *

Readable: the script gets the response with status 200.
  fields that it can read: none
  hidden from it:          access-control-allow-origin
"
            .to_owned(),
        ),
    ];
    for (path, more, expected) in rows {
        let ran = cors(&[&["probe", &format!("{url}{path}"), "-o", "https://app.example.com"], more].concat(), "");
        assert_eq!((ran.out.replace(&url, "URL"), ran.code), (expected, Some(0)), "{path}: {}", ran.err);
    }
}

#[test]
fn names_with_addresses_of_their_own() {
    let url = server_of_all().replace("127.0.0.1", "api.example.com");
    let resolve = url.replace("http:", "").replace('/', "") + ":127.0.0.1";
    let ran = cors(&["probe", &format!("{url}bare"), "-o", "http://app.example.com", "--resolve", &resolve], "");
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
}

#[test]
fn whole_exchanges_as_json() {
    let url = server_of_all();
    let ran =
        cors(&["probe", &url, "-o", "https://app.example.com", "-m", "PUT", "-H", "X-Own: 1", "-c", "--json"], "");
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    let of_browser = json!([
        ["Origin", "https://app.example.com"],
        ["Sec-Fetch-Site", "cross-site"],
        ["Sec-Fetch-Mode", "cors"],
        ["Sec-Fetch-Dest", "empty"],
        ["User-Agent", concat!("cors/", env!("CARGO_PKG_VERSION"))],
    ]);
    let sent = |first: Value| {
        Value::from([first.as_array().unwrap().clone(), of_browser.as_array().unwrap().clone()].concat())
    };
    let expected = json!({
        "url": url,
        "origin": "https://app.example.com",
        "result": "readable",
        "status": 200,
        "fields": [["X-Seen", "a\x1bb"], ["Content-Type", "text/plain"], ["Content-Length", "2"]],
        "hidden": ["access-control-allow-origin", "access-control-allow-credentials", "access-control-expose-headers",
            "x-hidden", "set-cookie", "vary"],
        "trouble": null,
        "steps": [
            { "note": "A preflight, because the method PUT needs permission, and the script sets x-own" },
            {
                "purpose": "preflight",
                "request": {
                    "method": "OPTIONS",
                    "url": url,
                    "fields": sent(json!([
                        ["Accept", "*/*"],
                        ["Access-Control-Request-Method", "PUT"],
                        ["Access-Control-Request-Headers", "x-own"],
                    ])),
                },
                "response": {
                    "version": "HTTP/1.1",
                    "status": 204,
                    "fields": [
                        ["Server", "any"],
                        ["Access-Control-Allow-Origin", "https://app.example.com"],
                        ["Access-Control-Allow-Credentials", "true"],
                        ["Access-Control-Allow-Methods", "PUT"],
                        ["Access-Control-Allow-Headers", "X-Own"],
                        ["Vary", "Origin"],
                    ],
                    "trouble": null,
                },
                "no_answer": null,
            },
            {
                "purpose": "request",
                "request": { "method": "PUT", "url": url, "fields": sent(json!([["X-Own", "1"], ["Accept", "*/*"]])) },
                "response": {
                    "version": "HTTP/1.1",
                    "status": 200,
                    "fields": [
                        ["Access-Control-Allow-Origin", "https://app.example.com"],
                        ["Access-Control-Allow-Credentials", "true"],
                        ["Access-Control-Expose-Headers", "X-Seen"],
                        ["X-Seen", "a\x1bb"],
                        ["X-Hidden", "c"],
                        ["Set-Cookie", "d=e"],
                        ["Content-Type", "text/plain"],
                        ["Content-Length", "2"],
                        ["Vary", "Origin"],
                    ],
                    "trouble": null,
                },
                "no_answer": null,
            },
        ],
    });
    assert_eq!((found, ran.code), (expected, Some(0)), "{}", ran.err);
    // A port that nothing listens on, and a body that ends early.
    let ran = cors(&["probe", &closed_port(), "-o", "https://app.example.com", "--json"], "");
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    let why = found["why"].as_str().unwrap();
    assert!(why.starts_with("no connection: "), "{why}");
    assert_eq!((&found["result"], &found["steps"][1]["no_answer"]), (&json!("no answer"), &json!(why)));
    assert_eq!(ran.code, Some(2));
    let half = server(|s| s.write_all(allowed!("Content-Length: 9\r\n\r\nhalf")));
    let ran = cors(&["probe", &half, "-o", "https://app.example.com", "--json"], "");
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    let trouble = found["trouble"].as_str().unwrap();
    assert_eq!((trouble.starts_with("the body ended early"), ran.code), (true, Some(0)), "{trouble}");
}

#[test]
fn arguments_that_make_no_sense() {
    let rows: [(&[&str], &str); 7] = [
        (&["no url", "-o", "null"], "is not a URL"),
        (&["https://a.example", "-o", "a.example"], "write \"https://a.example\""),
        (&["https://a.example", "-o", "https://*.example"], "is a pattern"),
        (&["https://a.example", "-o", "null", "-H", "X-Own"], "has no colon"),
        (&["https://a.example", "-o", "null", "--timeout", "0"], "a number of seconds above 0"),
        (&["https://a.example", "-o", "null", "--resolve", "a.example:443"], "is not HOST:PORT:ADDRESS"),
        (&["https://a.example", "-o", "null", "--timeout=-1"], "a number of seconds above 0"),
    ];
    for (arguments, message) in rows {
        let ran = cors(&[&["probe"], arguments].concat(), "");
        assert!(ran.err.contains(message), "{arguments:?}: {}", ran.err);
        assert_eq!(ran.code, Some(2), "{arguments:?}");
    }
}

#[test]
fn an_audit() {
    let reflects = server(|s| {
        s.write_all(b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: https://cors-audit.example\r\nAccess-Control-Allow-Credentials: true\r\nContent-Length: 0\r\n\r\n")
    });
    let ran = cors(&["probe", &reflects, "-o", "https://app.example.com", "--audit"], "");
    assert!(
        ran.out.contains("Every origin is allowed, with the user's cookies: the answer repeats it. [reflected]"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("[no-vary]"), "{}", ran.out);
    assert_eq!(ran.code, Some(1));
    let quiet = server(|s| s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    let ran = cors(&["probe", &quiet, "-o", "https://app.example.com", "--audit"], "");
    assert_eq!((ran.out.as_str(), ran.code), ("Nothing dangerous was found.\n", Some(0)));
}
