// SPDX-License-Identifier: Apache-2.0
//! One directive as it is read, and the values that it can take.

use cors_policy::report::Format;
use cors_policy::{list, scalar, Problem, Reason};
use ngx::ffi::ngx_str_t;

use super::level::MainConf;
use super::messages::Place;
use super::settings::{LevelDirectives, MaxAge, PreflightStatus, RejectStatus, Settings};
use crate::nginx::configuration::Configuration;
use crate::nginx::log::Level;

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
            Err(problem) => self.report(&problem),
        }
    }
}

/// A value of a directive that takes one.
pub trait Scalar: Copy {
    /// Reads it.
    fn read(value: &[u8]) -> Result<Self, Problem>;

    /// What is doubtful about a value that can be read.
    fn check(self) -> Result<(), Reason> {
        Ok(())
    }
}

impl Scalar for bool {
    fn read(value: &[u8]) -> Result<Self, Problem> {
        scalar::read_flag(value)
    }
}

impl Scalar for PreflightStatus {
    fn read(value: &[u8]) -> Result<Self, Problem> {
        scalar::read_preflight_status(value).map(PreflightStatus)
    }
}

impl Scalar for RejectStatus {
    fn read(value: &[u8]) -> Result<Self, Problem> {
        scalar::read_reject_status(value).map(RejectStatus)
    }
}

impl Scalar for MaxAge {
    fn read(value: &[u8]) -> Result<Self, Problem> {
        scalar::read_max_age(value).map(MaxAge)
    }

    fn check(self) -> Result<(), Reason> {
        match self.0 > scalar::LONGEST_MAX_AGE {
            true => Err(Reason::LongMaxAge),
            false => Ok(()),
        }
    }
}

impl Scalar for Level {
    fn read(value: &[u8]) -> Result<Self, Problem> {
        Ok(match scalar::read_log_level(value)? {
            b"info" => Level::INFO,
            b"notice" => Level::NOTICE,
            b"warn" => Level::WARN,
            _ => Level::ERROR,
        })
    }
}
