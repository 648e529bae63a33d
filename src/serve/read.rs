// SPDX-License-Identifier: Apache-2.0
//! The facts of a request: what a decision depends on, read once, when the request reaches the first location that has a
//! policy. What others change later makes no difference.

use std::ffi::c_void;
use std::iter;

use cors_policy::facts::{Facts, Field, MethodKind, Site};
use cors_policy::list::elements;
use cors_policy::preflight::requested_method;
use cors_policy::Decision;

use super::keep::Kept;
use crate::nginx::header_list::Names;
use crate::nginx::headers_in::Count;
use crate::nginx::request::Method;
use crate::nginx::{OutOfMemory, Request};

pub static ORIGIN_NAME: Names<1> = Names::new([b"origin"]);
static SITE_NAME: Names<1> = Names::new([b"sec-fetch-site"]);
static SENDER_NAMES: Names<2> = Names::new([b"origin", b"sec-fetch-site"]);
static PREFLIGHT_NAMES: Names<4> = Names::new([
    b"origin",
    b"access-control-request-method",
    b"access-control-request-headers",
    b"access-control-request-private-network",
]);
const ORIGIN: usize = 0;
const REQUEST_METHOD: usize = 1;
const REQUEST_HEADERS: usize = 2;

/// Something that few requests need, in their pool, and what was noted before it.
pub struct Note<'r> {
    what: What<'r>,
    next: Option<&'r Note<'r>>,
}

#[derive(Clone, Copy)]
enum What<'r> {
    Preflight(Preflight<'r>),
    /// Whether one of the values that this identifies bypasses the module.
    Bypass(*const c_void, bool),
    /// What the values with variables that this identifies allow.
    Values(*const c_void, Values),
    /// One of these values, which does not allow the request's origin.
    Other(*const c_void, &'r [u8]),
    /// What is kept of a request that has not reached a location, under the policy that this identifies.
    Early(*const c_void, &'r Kept<'r>),
    /// What the policy that this identifies says of a decision.
    Reason(*const c_void, Decision, &'r [u8]),
}

/// What values with variables allow, whatever the policy makes of it.
#[derive(Clone, Copy, Default)]
pub struct Values {
    /// One of them is `*`.
    pub any: bool,
    /// One of them is the request's origin.
    pub origin: bool,
}

/// What only matters of an `OPTIONS` request.
#[derive(Clone, Copy, Default)]
struct Preflight<'r> {
    request_method: Field<'r>,
    request_headers: &'r [u8],
    private_network: bool,
}

impl<'r> Kept<'r> {
    /// Reads the facts. What only enforcement looks at is read if a location of the configuration enforces; if none does, no response
    /// depends on it.
    pub fn read(&self, r: &mut Request<'r>, reads_all: bool) -> Result<(), OutOfMemory> {
        let method = r.method_sent();
        self.method().set(method);
        if method == Method::Options {
            self.read_preflight(r)?;
        } else if !reads_all {
            self.origins().set(find_origin(r, self));
        }
        if reads_all {
            self.read_sender(r);
        }
        Ok(())
    }

    /// Reads who has sent the request: `Origin`, and what only enforcement looks at.
    #[inline(always)]
    pub fn read_sender(&self, r: &Request<'r>) {
        let (mut origins, mut site) = (Count::None, Site::default());
        for (name, value) in r.fields_in(&SENDER_NAMES) {
            match name {
                ORIGIN => {
                    self.set_text(value);
                    origins = origins.next();
                }
                _ => site.add(value.as_bytes()),
            }
        }
        self.origins().set(origins);
        self.set_sender(r, site);
    }

    #[inline(always)]
    fn set_sender(&self, r: &Request<'r>, site: Site) {
        self.site().set(site);
        // It makes no difference to anybody else.
        if site.is_unstated() {
            self.is_of_host().set(self.sent_origin().is_of_host(r.host().as_bytes()));
        }
        self.has_sender().set(true);
    }

    fn sent_origin(&self) -> Field<'r> {
        match self.origins().get() {
            Count::None => Field::Absent,
            Count::One => Field::One(self.origin().as_bytes()),
            Count::Many => Field::Many,
        }
    }

    /// Reads the facts of an `OPTIONS` request; returns whether it is a preflight.
    pub fn read_preflight(&self, r: &mut Request<'r>) -> Result<bool, OutOfMemory> {
        let mut preflight = Preflight::default();
        let (mut origins, mut lines) = (Count::None, Count::None);
        for (name, value) in r.fields_in(&PREFLIGHT_NAMES) {
            match name {
                ORIGIN => {
                    self.set_text(value);
                    origins = origins.next();
                }
                REQUEST_METHOD => preflight.request_method.add(value.as_bytes()),
                REQUEST_HEADERS => {
                    preflight.request_headers = value.as_bytes();
                    lines = lines.next();
                }
                _ => preflight.private_network |= value.as_bytes() == b"true",
            }
        }
        if lines == Count::Many {
            preflight.request_headers = join_request_headers(r)?;
        }
        self.method().set(Method::Options);
        self.origins().set(origins);
        self.note(r, What::Preflight(preflight))?;
        let method = preflight.request_method.one().filter(|_| origins == Count::One);
        Ok(method.and_then(requested_method).is_some())
    }

    /// The facts that were read.
    pub fn facts(&self, r: &Request<'r>) -> Facts<'r> {
        self.count_origins();
        if !self.has_sender().get() {
            let mut site = Site::default();
            r.fields_in(&SENDER_NAMES)
                .filter(|(name, _)| *name != ORIGIN)
                .for_each(|(_, value)| site.add(value.as_bytes()));
            self.set_sender(r, site);
        }
        Facts { site: self.site().get(), is_of_host: self.is_of_host().get(), ..self.brief_facts() }
    }

    /// The facts that were read, without what only enforcement looks at.
    #[inline]
    pub fn brief_facts(&self) -> Facts<'r> {
        self.count_origins();
        let noted = self.find(|what| if let What::Preflight(preflight) = what { Some(preflight) } else { None });
        let Preflight { request_method, request_headers, private_network } = noted.unwrap_or_default();
        Facts {
            method: match self.method().get() {
                Method::Read => MethodKind::Read,
                Method::Options => MethodKind::Options,
                Method::Other => MethodKind::Other,
            },
            origin: self.sent_origin(),
            request_method,
            request_headers,
            private_network,
            ..Facts::default()
        }
    }
}

impl<'r> Kept<'r> {
    /// Whether one of the values that `of` identifies bypasses the module, evaluated the first time that it is needed.
    pub fn bypass(
        &self,
        r: &mut Request<'r>,
        of: *const c_void,
        evaluate: impl FnOnce(&mut Request<'r>) -> Result<bool, OutOfMemory>,
    ) -> Result<bool, OutOfMemory> {
        let is_it = |what| match what {
            What::Bypass(place, result) if place == of => Some(result),
            _ => None,
        };
        self.once(r, is_it, evaluate, |result| Some(What::Bypass(of, result)))
    }

    /// What the values that `of` identifies allow, evaluated the first time that it is needed.
    pub fn values(
        &self,
        r: &mut Request<'r>,
        of: *const c_void,
        evaluate: impl FnOnce(&mut Request<'r>) -> Result<Values, OutOfMemory>,
    ) -> Result<Values, OutOfMemory> {
        let is_it = |what| match what {
            What::Values(place, result) if place == of => Some(result),
            _ => None,
        };
        self.once(r, is_it, evaluate, |result| Some(What::Values(of, result)))
    }

    /// Keeps one of the values that `of` identifies, which does not allow the origin.
    pub fn keep_other(&self, r: &mut Request<'r>, of: *const c_void, value: &'r [u8]) -> Result<(), OutOfMemory> {
        self.note(r, What::Other(of, value))
    }

    /// What is kept for a decision under the policy that `of` identifies, before the request has reached a location. It is decided once: nginx
    /// reads a variable twice, to learn its length and to write it.
    pub fn early(
        &self,
        r: &mut Request<'r>,
        of: *const c_void,
        decide: impl FnOnce(&mut Request<'r>, &'r Kept<'r>) -> Result<(), OutOfMemory>,
    ) -> Result<&'r Kept<'r>, OutOfMemory> {
        let is_it = |what| match what {
            What::Early(place, kept) if place == of => Some(kept),
            _ => None,
        };
        let decide = |r: &mut Request<'r>| {
            let kept = r.keep(Kept::default())?;
            decide(r, kept)?;
            Ok(kept)
        };
        self.once(r, is_it, decide, |kept| Some(What::Early(of, kept)))
    }

    /// What the policy that `of` identifies says of a decision, written once for the same reason.
    pub fn reason(
        &self,
        r: &mut Request<'r>,
        of: *const c_void,
        decision: Decision,
        write: impl FnOnce(&mut Request<'r>) -> Result<&'r [u8], OutOfMemory>,
    ) -> Result<&'r [u8], OutOfMemory> {
        let is_it = |what| match what {
            What::Reason(place, about, text) if place == of && about == decision => Some(text),
            _ => None,
        };
        self.once(r, is_it, write, |text| Some(What::Reason(of, decision, text)).filter(|_| !text.is_empty()))
    }

    /// Those that were kept.
    pub fn others(&self, of: *const c_void) -> impl Iterator<Item = &'r [u8]> {
        self.noted().filter_map(move |what| match what {
            What::Other(place, value) if place == of => Some(value),
            _ => None,
        })
    }

    /// What has been noted, or what `evaluate` returns, which is noted then if it is worth it.
    #[inline(always)]
    fn once<T: Copy>(
        &self,
        r: &mut Request<'r>,
        is_it: impl Fn(What<'r>) -> Option<T>,
        evaluate: impl FnOnce(&mut Request<'r>) -> Result<T, OutOfMemory>,
        what: impl FnOnce(T) -> Option<What<'r>>,
    ) -> Result<T, OutOfMemory> {
        if let Some(result) = self.find(is_it) {
            return Ok(result);
        }
        let result = evaluate(r)?;
        if let Some(what) = what(result) {
            self.note(r, what)?;
        }
        Ok(result)
    }

    fn note(&self, r: &mut Request<'r>, what: What<'r>) -> Result<(), OutOfMemory> {
        self.set_more(r.keep(Note { what, next: self.more() })?);
        Ok(())
    }

    fn find<T>(&self, wanted: impl Fn(What<'r>) -> Option<T>) -> Option<T> {
        self.noted().find_map(wanted)
    }

    fn noted(&self) -> impl Iterator<Item = What<'r>> {
        iter::successors(self.more(), |note| note.next).map(|note| note.what)
    }
}

/// Whether a browser says that the request comes from another site. It then is not one of the server's own origin.
#[inline(always)]
pub fn says_cross_site(r: &Request<'_>) -> bool {
    r.fields_in(&SITE_NAME).next().is_some_and(|(_, value)| value.as_bytes() == b"cross-site")
}

/// Field lines of one name are one list (RFC 9110, section 5.3).
#[cold]
fn join_request_headers<'r>(r: &mut Request<'r>) -> Result<&'r [u8], OutOfMemory> {
    let fields = r.fields_in(&PREFLIGHT_NAMES).filter(|(name, _)| *name == REQUEST_HEADERS);
    r.join(fields.flat_map(|(_, value)| elements(value.as_bytes())))
}

/// How many `Origin` fields there are; the value of the first is kept.
#[inline(always)]
pub fn find_origin<'r>(r: &Request<'r>, kept: &Kept<'r>) -> Count {
    let mut count = Count::None;
    for (_, origin) in r.fields_in(&ORIGIN_NAME) {
        if count != Count::None {
            return Count::Many;
        }
        kept.set_text(origin);
        count = Count::One;
    }
    count
}
