//! The facts of a request: what a decision depends on, read once, when the request reaches the first location that has a
//! policy. What others change later makes no difference.

use std::cell::Cell;

use cors_policy::facts::{Facts, Field, MethodKind, Site};

use crate::nginx::header_list::Names;
use crate::nginx::headers_in::Count;
use crate::nginx::request::Method;
use crate::nginx::slot::Latest;
use crate::nginx::strings::Str;
use crate::nginx::{OutOfMemory, Request};
use crate::zeroable;

static ORIGIN_NAME: Names<1> = Names::new([b"origin"]);
static SITE_NAME: Names<1> = Names::new([b"sec-fetch-site"]);
static PREFLIGHT_NAMES: Names<4> = Names::new([
    b"origin",
    b"access-control-request-method",
    b"access-control-request-headers",
    b"access-control-request-private-network",
]);
const ORIGIN: usize = 0;
const REQUEST_METHOD: usize = 1;
const REQUEST_HEADERS: usize = 2;

zeroable! {
    /// The facts as a request keeps them.
    pub struct Read<'r> {
        pub origin: Cell<Str<'r>>,
        request_method: Cell<Str<'r>>,
        request_headers: Cell<Str<'r>>,
        host: Cell<Str<'r>>,
        site: Latest<Site>,
        pub method: Cell<Method>,
        pub origins: Cell<Count>,
        request_methods: Cell<Count>,
        private_network: Cell<bool>,
    }
}

impl<'r> Read<'r> {
    /// Reads the facts. What enforcement looks at, and what tells a denial of the server's own origin from others, is read if
    /// a location of the configuration enforces; if none does, no response depends on it.
    pub fn read(&self, r: &mut Request<'r>, reads_all: bool) -> Result<(), OutOfMemory> {
        let method = r.method_sent();
        self.method.set(method);
        if method == Method::Options {
            self.read_preflight(r)?;
        } else {
            self.origins.set(find_origin(r, &self.origin));
        }
        if reads_all {
            self.read_rest(r);
        }
        Ok(())
    }

    /// Reads what matters apart from `Origin`.
    pub fn read_rest(&self, r: &Request<'r>) -> Site {
        let mut site = Site::default();
        r.fields_in(&SITE_NAME).for_each(|(_, value)| site.add(value.as_bytes()));
        self.site.set(site);
        self.host.set(r.host());
        site
    }

    /// Reads the facts of an `OPTIONS` request; returns whether it is a preflight.
    pub fn read_preflight(&self, r: &mut Request<'r>) -> Result<bool, OutOfMemory> {
        let (mut origins, mut methods, mut lines) = (Count::None, Count::None, Count::None);
        for (name, value) in r.fields_in(&PREFLIGHT_NAMES) {
            match name {
                ORIGIN => {
                    self.origin.set(value);
                    origins = origins.next();
                }
                REQUEST_METHOD => {
                    self.request_method.set(value);
                    methods = methods.next();
                }
                REQUEST_HEADERS => {
                    self.request_headers.set(value);
                    lines = lines.next();
                }
                _ => self.private_network.set(self.private_network.get() || value.as_bytes() == b"true"),
            }
        }
        self.method.set(Method::Options);
        self.origins.set(origins);
        self.request_methods.set(methods);
        if lines == Count::Many {
            self.join_request_headers(r)?;
        }
        Ok(self.preflight().preflight_method().is_some())
    }

    /// Field lines of one name are one list (RFC 9110, section 5.3).
    #[cold]
    fn join_request_headers(&self, r: &mut Request<'r>) -> Result<(), OutOfMemory> {
        let fields = r.fields_in(&PREFLIGHT_NAMES).filter(|(name, _)| *name == REQUEST_HEADERS);
        let joined = r.join(fields.map(|(_, value)| value.as_bytes()))?;
        self.request_headers.set(Str::from(joined));
        Ok(())
    }

    /// The facts that were read.
    pub fn facts(&self, r: &Request<'r>) -> Facts<'r> {
        let site = self.site.get().unwrap_or_else(|| self.read_rest(r));
        Facts { site, host: self.host.get().as_bytes(), ..self.preflight() }
    }

    /// The facts of a preflight: enforcement, which exempts it, does not look at more.
    #[inline]
    pub fn preflight(&self) -> Facts<'r> {
        Facts {
            method: match self.method.get() {
                Method::Read => MethodKind::Read,
                Method::Options => MethodKind::Options,
                Method::Other => MethodKind::Other,
            },
            origin: field(self.origins.get(), self.origin.get()),
            request_method: field(self.request_methods.get(), self.request_method.get()),
            request_headers: self.request_headers.get().as_bytes(),
            private_network: self.private_network.get(),
            ..Facts::default()
        }
    }
}

/// How many `Origin` fields there are; the value of the first is put into `first`.
#[inline(always)]
pub fn find_origin<'r>(r: &Request<'r>, first: &Cell<Str<'r>>) -> Count {
    let mut fields = r.fields_in(&ORIGIN_NAME);
    let Some((_, origin)) = fields.next() else { return Count::None };
    first.set(origin);
    match fields.next() {
        None => Count::One,
        Some(_) => Count::Many,
    }
}

#[inline]
fn field(count: Count, value: Str<'_>) -> Field<'_> {
    match count {
        Count::None => Field::Absent,
        Count::One => Field::One(value.as_bytes()),
        Count::Many => Field::Many,
    }
}
