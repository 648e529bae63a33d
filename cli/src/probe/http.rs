// SPDX-License-Identifier: Apache-2.0
//! One request and its answer on the wire, by libcurl: no redirect is followed, and no field is added that is not said here.

use std::iter;
use std::time::{Duration, Instant};

use curl::easy::{Easy2, Handler, HttpVersion, List, WriteError};
use url::Url;

use super::lines::Lines;
use super::safelist::Header;
use crate::Failure;

/// The most bytes of a body, and of the fields before it.
const MAX_BODY: usize = 1 << 20;
const MAX_FIELDS: usize = 1 << 18;

/// A request.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The URL, whose fragment is not sent.
    pub url: Url,
    /// The fields, without `Host` and `Content-Length`.
    pub fields: Vec<Header>,
    /// The body.
    pub body: Option<Vec<u8>>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// `HTTP/1.1`, `HTTP/2`
    pub version: String,
    /// The status.
    pub status: u16,
    /// The fields in the order of the wire.
    pub fields: Vec<Header>,
    /// What became of the body, if it did not arrive as a whole.
    pub trouble: Option<String>,
}

impl Response {
    /// The combined value of a field ([get](https://fetch.spec.whatwg.org/#concept-header-list-get)).
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        let values: Vec<_> = self.values(name).collect();
        (!values.is_empty()).then(|| values.join(&b", "[..]))
    }

    /// The values of a field.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }
}

/// What sends requests.
pub trait Transport {
    /// Sends a request; the error says why no answer came.
    fn send(&mut self, request: &Request) -> Result<Response, Failure>;
}

/// How to reach servers.
#[derive(Clone, Default)]
pub struct Options {
    /// `HOST:PORT:ADDRESS`
    pub resolve: Vec<String>,
    /// Whether certificates are taken unchecked.
    pub insecure: bool,
    /// Files with certificates to trust, with the client's certificate and its key.
    pub authorities: Option<String>,
    /// See `authorities`.
    pub certificate: Option<String>,
    /// See `authorities`.
    pub key: Option<String>,
    /// `1.1` or `2`
    pub version: Option<String>,
    /// For each request.
    pub timeout: Duration,
}

/// libcurl.
pub struct Curl(pub Options);

#[derive(Default)]
struct Received {
    version: String,
    status: u16,
    fields: Vec<Header>,
    size: usize,
    /// Whether the empty line after the fields was read.
    complete: bool,
    body: usize,
    is_endless: bool,
}

impl Handler for Received {
    fn header(&mut self, line: &[u8]) -> bool {
        self.size += line.len();
        let line = line.trim_ascii_end();
        // What comes after the header are trailers, even if the body is empty; or, after the answer of a proxy, another header.
        if self.body > 0 || (self.complete && !line.starts_with(b"HTTP/")) {
            return self.size <= MAX_FIELDS;
        }
        if line.starts_with(b"HTTP/") {
            let text = String::from_utf8_lossy(line);
            let mut words = text.split(' ');
            self.version = words.next().unwrap_or_default().to_owned();
            self.status = words.next().and_then(|status| status.parse().ok()).unwrap_or(0);
            self.fields.clear();
            self.complete = false;
        } else if line.is_empty() {
            // Answers such as 103 come before the one that counts.
            self.complete = self.status >= 200;
        } else if line.starts_with(b" ") || line.starts_with(b"\t") {
            if let Some((_, value)) = self.fields.last_mut() {
                // White space at the ends is not a part of a value.
                if !value.is_empty() {
                    value.push(b' ');
                }
                value.extend(line.trim_ascii());
            }
        } else if let Some(colon) = line.iter().position(|&b| b == b':') {
            let name = String::from_utf8_lossy(&line[..colon]).into_owned();
            self.fields.push((name, line[colon + 1..].trim_ascii().to_vec()));
        }
        self.size <= MAX_FIELDS
    }

    fn write(&mut self, data: &[u8]) -> Result<usize, WriteError> {
        self.body += data.len();
        self.is_endless = self.body > MAX_BODY;
        // Less than was given ends the transfer.
        Ok(if self.is_endless { 0 } else { data.len() })
    }
}

impl Transport for Curl {
    fn send(&mut self, request: &Request) -> Result<Response, Failure> {
        let start = Instant::now();
        // Dropped after the transfer.
        let lines = lines(request).ok_or("the request cannot be sent")?;
        let mut easy = Easy2::new(Received::default());
        self.prepare(&mut easy, request).map_err(|error| error.to_string())?;
        if !lines.give_to(&easy) {
            return Err("the request cannot be sent".to_owned());
        }
        let result = easy.perform();
        let received = easy.get_ref();
        let trouble = match result {
            Ok(()) if received.complete => None,
            Ok(()) => return Err("the connection was closed before the end of the header".to_owned()),
            Err(error) => {
                let why = why(&error, received, start.elapsed());
                if !received.complete {
                    return Err(why);
                }
                Some(why)
            }
        };
        let Received { version, status, fields, .. } = easy.get_ref();
        Ok(Response { version: version.clone(), status: *status, fields: fields.clone(), trouble })
    }
}

/// The fields of a request.
fn lines(request: &Request) -> Option<Lines> {
    // libcurl would add it to a large body. A request has the other fields that it adds.
    let removed = iter::once(b"Expect:".to_vec());
    // Values are checked to be without control characters.
    let set = request.fields.iter().map(|(name, value)| match value.is_empty() {
        true => format!("{name};").into_bytes(),
        false => [name.as_bytes(), b": ", value].concat(),
    });
    Lines::new(removed.chain(set))
}

impl Curl {
    fn prepare(&self, easy: &mut Easy2<Received>, request: &Request) -> Result<(), curl::Error> {
        let Options { resolve, insecure, authorities, certificate, key, version, timeout } = &self.0;
        let mut url = request.url.clone();
        url.set_fragment(None);
        let is_tls = url.scheme() == "https";
        easy.url(url.as_str())?;
        easy.path_as_is(true)?;
        easy.timeout(*timeout)?;
        easy.signal(false)?;
        easy.custom_request(&request.method)?;
        easy.http_version(match version.as_deref() {
            Some("1.1") => HttpVersion::V11,
            Some("2") if !is_tls => HttpVersion::V2PriorKnowledge,
            // Browsers use HTTP/2 only over TLS.
            _ => HttpVersion::V2TLS,
        })?;
        if request.method == "HEAD" {
            easy.nobody(true)?;
        }
        if let Some(body) = &request.body {
            easy.post_fields_copy(body)?;
        }
        let mut addresses = List::new();
        for address in resolve {
            addresses.append(address)?;
        }
        easy.resolve(addresses)?;
        easy.ssl_verify_peer(!insecure)?;
        easy.ssl_verify_host(!insecure)?;
        if let Some(file) = authorities {
            easy.cainfo(file)?;
        }
        if let Some(file) = certificate {
            easy.ssl_cert(file)?;
        }
        if let Some(file) = key.as_ref().or(certificate.as_ref()) {
            easy.ssl_key(file)?;
        }
        Ok(())
    }
}

/// Why there was no answer, or not all of it.
fn why(error: &curl::Error, received: &Received, took: Duration) -> String {
    let detail = error.extra_description().unwrap_or(error.description());
    let seconds = took.as_secs_f64();
    if received.is_endless {
        return format!("the body did not end within {MAX_BODY} bytes");
    }
    if received.size > MAX_FIELDS {
        let what = if received.complete { "trailers" } else { "header" };
        return format!("the {what} did not end within {MAX_FIELDS} bytes");
    }
    // libcurl keeps no more than 100 kB of a line. Newer releases say CURLE_TOO_LARGE, which is 100.
    if (error.is_out_of_memory() || error.code() == 100) && !received.complete {
        return "the header has a line that is too long".to_owned();
    }
    if error.is_operation_timedout() {
        return match (received.complete, received.size) {
            (true, _) => format!("the body did not end within {seconds:.0} s"),
            (false, 0) => format!("no answer within {seconds:.0} s: {detail}"),
            (false, _) => format!("the header did not end within {seconds:.0} s"),
        };
    }
    let what = match error {
        e if e.is_couldnt_resolve_host() => "the name of the host was not found",
        e if e.is_couldnt_connect() => "no connection",
        e if e.is_peer_failed_verification() => "the certificate of the server is not trusted; --insecure takes any",
        e if e.is_ssl_connect_error() || e.is_ssl_cipher() => "TLS failed",
        e if e.is_ssl_certproblem() => "the certificate of the client cannot be used",
        e if e.is_ssl_cacert_badfile() => "the file of --cacert cannot be used",
        e if e.is_got_nothing() => "the connection was closed without an answer",
        e if e.is_partial_file() => "the body ended early",
        e if e.is_recv_error() => "the connection broke",
        _ => "the answer is not valid HTTP",
    };
    format!("{what}: {detail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(parts: &[&str]) -> Received {
        let mut received = Received::default();
        for part in parts {
            match part.strip_prefix("body: ") {
                Some(body) => assert_eq!(received.write(body.as_bytes()).unwrap(), body.len()),
                None => assert!(received.header(part.as_bytes())),
            }
        }
        received
    }

    #[test]
    fn headers_of_one_answer() {
        let rows: [(&[&str], &str, &str); 6] = [
            (&["HTTP/1.1 200 OK\r\n", "A: b\r\n", "\r\n"], "200", "A: b"),
            (&["HTTP/1.1 103\r\n", "A: b\r\n", "\r\n", "HTTP/1.1 404\r\n", "C: d\r\n", "\r\n"], "404", "C: d"),
            (&["HTTP/1.1 200\r\n", "A: b\r\n", " c \r\n", "\td\r\n", "\r\n"], "200", "A: b c d"),
            (&["HTTP/1.1 200\r\n", "A:\r\n", " c\r\n", "\r\n"], "200", "A: c"),
            // Trailers, whatever their names.
            (
                &["HTTP/1.1 200\r\n", "A: b\r\n", "\r\n", "body: x", "HTTP/1.1 404: x\r\n", "C: d\r\n", "\r\n"],
                "200",
                "A: b",
            ),
            (&["HTTP/1.1 200\r\n", "A: b\r\n", "\r\n", "C: d\r\n", "\r\n"], "200", "A: b"),
        ];
        for (parts, status, fields) in rows {
            let received = received(parts);
            let shown =
                received.fields.iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)));
            let shown: Vec<_> = shown.collect();
            assert_eq!(
                (received.status.to_string().as_str(), shown.join(" | ").as_str()),
                (status, fields),
                "{parts:?}"
            );
            assert!(received.complete, "{parts:?}");
        }
    }

    #[test]
    fn reasons() {
        for (code, text) in [
            (curl_sys::CURLE_COULDNT_RESOLVE_HOST, "the name of the host was not found: "),
            (curl_sys::CURLE_COULDNT_CONNECT, "no connection: "),
            (curl_sys::CURLE_PEER_FAILED_VERIFICATION, "the certificate of the server is not trusted; "),
            (curl_sys::CURLE_SSL_CONNECT_ERROR, "TLS failed: "),
            (curl_sys::CURLE_SSL_CIPHER, "TLS failed: "),
            (curl_sys::CURLE_SSL_CERTPROBLEM, "the certificate of the client cannot be used: "),
            (curl_sys::CURLE_SSL_CACERT_BADFILE, "the file of --cacert cannot be used: "),
            (curl_sys::CURLE_GOT_NOTHING, "the connection was closed without an answer: "),
            (curl_sys::CURLE_PARTIAL_FILE, "the body ended early: "),
            (curl_sys::CURLE_RECV_ERROR, "the connection broke: "),
            (curl_sys::CURLE_HTTP2, "the answer is not valid HTTP: "),
            (curl_sys::CURLE_OUT_OF_MEMORY, "the header has a line that is too long"),
            (100, "the header has a line that is too long"),
        ] {
            let why = why(&curl::Error::new(code), &Received::default(), Duration::ZERO);
            assert!(why.starts_with(text), "{code}: {why}");
        }
    }

    #[test]
    fn what_is_too_large() {
        let mut received = Received::default();
        assert_eq!(received.write(&vec![0; MAX_BODY]).unwrap(), MAX_BODY);
        assert!(!received.is_endless);
        assert_eq!(received.write(&[0]).unwrap(), 0);
        assert!(received.is_endless);

        let mut received = Received::default();
        let error = curl::Error::new(curl_sys::CURLE_WRITE_ERROR);
        assert!(received.header(&vec![b'a'; MAX_FIELDS]));
        assert!(!why(&error, &received, Duration::ZERO).contains("did not end"));
        assert!(!received.header(b"a"));
        assert!(why(&error, &received, Duration::ZERO).starts_with("the header did not end within"));
    }
}
