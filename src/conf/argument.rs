//! One directive as it is read, and the values that it can take.

use cors_policy::report::Format;
use cors_policy::{list, scalar, Problem, Reason};
use ngx::ffi::ngx_str_t;

use super::level::MainConf;
use super::messages::Place;
use super::settings::{LevelDirectives, MaxAge, PreflightStatus, RejectStatus, Settings};
use crate::nginx::configuration::Configuration;
use crate::nginx::log::Level;
use crate::nginx::strings;

/// The longest time for which browsers keep the answer to a preflight, in seconds: Firefox a day, Chromium two hours.
const LONGEST_MAX_AGE: u64 = 86400;

/// The codes to which nginx gives a special meaning (src/http/ngx_http_request.h).
const SPECIAL_STATUSES: [u16; 7] = [444, 494, 495, 496, 497, 498, 499];

/// One directive as it is read.
pub struct Directive<'a> {
    /// The configuration.
    pub cf: &'a mut Configuration<'a>,
    /// Its name.
    pub name: &'static str,
    /// Where it appears.
    pub place: Place,
    /// Its arguments.
    pub values: &'a [ngx_str_t],
    /// The level that it appears in.
    pub level: &'a mut LevelDirectives,
    /// The whole `http` block.
    pub main: &'a mut MainConf,
    /// What `cors_report` says at this level.
    pub report: &'a mut Option<Option<Format>>,
}

impl Directive<'_> {
    /// Reports a problem of the directive.
    pub fn report(&mut self, problem: &Problem) {
        self.main.messages.report(self.cf.log(), Some(self.name), problem, &self.place);
    }

    /// Reports the problem, if there is one.
    pub fn check(&mut self, result: Result<(), Problem>) {
        if let Err(problem) = result {
            self.report(&problem);
        }
    }

    /// The bytes of the arguments.
    pub fn arguments(&self) -> impl Iterator<Item = &[u8]> {
        self.values.iter().map(ngx_str_t::as_bytes)
    }

    /// Adds each word of all arguments to a list.
    pub fn add_words(&mut self, mut add: impl FnMut(&mut LevelDirectives, &[u8]) -> Result<(), Problem>) {
        for value in self.values {
            self.add_words_of(value.as_bytes(), &mut add);
        }
    }

    /// Adds each word of one argument to a list.
    pub fn add_words_of(
        &mut self,
        value: &[u8],
        mut add: impl FnMut(&mut LevelDirectives, &[u8]) -> Result<(), Problem>,
    ) {
        let result = list::check_argument(value, self.arguments());
        self.check(result);
        for word in list::words(value) {
            let result = add(self.level, word);
            self.check(result);
        }
    }

    /// Sets a setting that may be set once.
    pub fn set<T: Scalar>(&mut self, setting: fn(&mut Settings) -> &mut Option<T>) {
        let value = self.values.first().map_or(&b""[..], ngx_str_t::as_bytes);
        if setting(&mut self.level.settings).is_some() {
            return self.report(&Problem::new(self.name.as_bytes(), Reason::DuplicateDirective));
        }
        match T::read(value) {
            Ok(read) => {
                *setting(&mut self.level.settings) = Some(read);
                self.check(read.check().map_err(|reason| Problem::new(value, reason)));
            }
            Err(reason) => self.report(&scalar::problem(value, reason)),
        }
    }
}

/// A value of a directive that takes one.
pub trait Scalar: Copy {
    /// Reads it.
    fn read(value: &[u8]) -> Result<Self, Reason>;

    /// What is doubtful about a value that can be read.
    fn check(self) -> Result<(), Reason> {
        Ok(())
    }
}

impl Scalar for bool {
    fn read(value: &[u8]) -> Result<Self, Reason> {
        // In any case, as nginx reads its own flags.
        match value.to_ascii_lowercase().as_slice() {
            b"on" => Ok(true),
            b"off" => Ok(false),
            _ => Err(Reason::NotFlag),
        }
    }
}

impl Scalar for PreflightStatus {
    fn read(value: &[u8]) -> Result<Self, Reason> {
        match value {
            b"200" => Ok(PreflightStatus(200)),
            b"204" => Ok(PreflightStatus(204)),
            _ => Err(Reason::NotPreflightStatus),
        }
    }
}

impl Scalar for RejectStatus {
    fn read(value: &[u8]) -> Result<Self, Reason> {
        let text = std::str::from_utf8(value).unwrap_or_default();
        let status = text.parse().ok().filter(|_| text.len() == 3);
        let status = status.filter(|status| (400..600).contains(status) && !SPECIAL_STATUSES.contains(status));
        status.map(RejectStatus).ok_or(Reason::NotRejectStatus)
    }
}

impl Scalar for MaxAge {
    fn read(value: &[u8]) -> Result<Self, Reason> {
        strings::parse_seconds(value).map(MaxAge).ok_or(Reason::NotTime)
    }

    fn check(self) -> Result<(), Reason> {
        match self.0 > LONGEST_MAX_AGE {
            true => Err(Reason::LongMaxAge),
            false => Ok(()),
        }
    }
}

impl Scalar for Level {
    fn read(value: &[u8]) -> Result<Self, Reason> {
        match value {
            b"info" => Ok(Level::INFO),
            b"notice" => Ok(Level::NOTICE),
            b"warn" => Ok(Level::WARN),
            b"error" => Ok(Level::ERROR),
            _ => Err(Reason::NotLogLevel),
        }
    }
}
