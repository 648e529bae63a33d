//! What is kept of a request: its facts and the decision, beyond internal redirects and out of reach of scripts.

use std::cell::Cell;
use std::ffi::c_void;

use cors_policy::origins::Evaluated;
use cors_policy::{Decision, Facts, Grant, Status};

use super::read::Read;

use crate::conf::{LocationConf, Policy};
use crate::nginx::configuration::Configuration;
use crate::nginx::headers_in::Count;
use crate::nginx::slot::{Keeps, Latest, Slot};
use crate::nginx::{OutOfMemory, Request};
use crate::{zeroable, zeroable_enum};

zeroable! {
    /// What is kept of a request.
    pub struct Kept<'r> {
        /// The policy in effect: that of the first location with one that the request reached, or of one that it was redirected
        /// to and that has its own.
        pub policy: Cell<Option<&'r Policy>>,
        /// What decisions depend on.
        pub read: Read<'r>,
        /// How the response is written; this says what was decided if `Origin` alone decides.
        pub way: Cell<Way>,
        /// Otherwise, the decision under `policy`.
        decision: Latest<Decision>,
        /// Whether the denial has been logged.
        pub is_logged: Cell<bool>,
        /// Whether a decision is being made: the module's variables are empty meanwhile, so that it never depends on itself.
        pub is_deciding: Cell<bool>,
        /// Whether the module's response has taken the place of another one, whose body has to be dropped.
        pub drops_body: Cell<bool>,
        /// What configured values with variables evaluated to.
        pub evaluations: Cell<Option<&'r Evaluation<'r>>>,
    }
}

zeroable_enum! {
    /// How a response is written.
    pub enum Way {
        /// By all that is kept.
        General,
        /// There is no `Origin`, and so nothing but `Vary`.
        NoOrigin,
        /// The one `Origin` is allowed by the list.
        Allowed,
        /// It is not.
        Denied,
        /// Whatever `Origin` is, the list is `*`.
        ForAll,
        /// The answer to a preflight whose one `Origin` is allowed by the list, and that echoes nothing.
        Preflight,
    }
}

impl Keeps for LocationConf {
    type Of<'r> = Kept<'r>;
}

/// Reserves the memory for it in each request.
pub fn reserve(cf: &mut Configuration<'_>) -> Option<Slot<LocationConf>> {
    Slot::reserve(cf, ["cors kept 1", "cors kept 2", "cors kept 3", "cors kept 4"])
}

/// What values with variables evaluated to, the first time that they were needed.
#[derive(Clone, Copy)]
pub struct Evaluation<'r> {
    of: *const c_void,
    result: Evaluated,
    next: Option<&'r Evaluation<'r>>,
}

impl<'r> Kept<'r> {
    /// What the values that `of` identifies evaluated to, or what they evaluate to now.
    pub fn evaluated(
        &self,
        r: &mut Request<'r>,
        of: *const c_void,
        evaluate: impl FnOnce(&mut Request<'r>) -> Evaluated,
    ) -> Result<Evaluated, OutOfMemory> {
        let mut at = self.evaluations.get();
        while let Some(evaluation) = at {
            if evaluation.of == of {
                return Ok(evaluation.result);
            }
            at = evaluation.next;
        }
        let result = evaluate(r);
        self.evaluations.set(Some(r.keep(Evaluation { of, result, next: self.evaluations.get() })?));
        Ok(result)
    }

    /// What was read and decided, once there is a policy in effect.
    pub fn decided(&self, r: &Request<'r>) -> Option<(&'r Policy, Facts<'r>, Decision)> {
        let policy = self.policy.get()?;
        let decision = match self.way.get() {
            Way::General => self.decision.get()?,
            Way::NoOrigin => Decision { status: Status::NoOrigin, grant: Grant::None },
            Way::Allowed => Decision { status: Status::Allowed, grant: Grant::Origin },
            Way::Denied => Decision { status: Status::Denied, grant: Grant::None },
            Way::ForAll if self.read.origins.get() == Count::None => {
                Decision { status: Status::NoOrigin, grant: Grant::Any }
            }
            Way::ForAll => Decision { status: Status::Allowed, grant: Grant::Any },
            Way::Preflight => Decision { status: Status::Preflight, grant: Grant::Origin },
        };
        Some((policy, self.facts(r), decision))
    }

    /// What was read.
    pub fn facts(&self, r: &Request<'r>) -> Facts<'r> {
        match self.way.get() {
            Way::General | Way::ForAll => {}
            Way::Preflight => return self.read.preflight(),
            Way::NoOrigin => self.read.origins.set(Count::None),
            Way::Allowed | Way::Denied => self.read.origins.set(Count::One),
        }
        self.read.facts(r)
    }

    /// Makes `policy` the one in effect, with a `decision` under it.
    pub fn adopt(&self, policy: &'r Policy, decision: Decision) {
        self.policy.set(Some(policy));
        self.way.set(Way::General);
        self.decision.set(decision);
        self.is_logged.set(false);
    }

    /// Makes `policy` the one in effect for a request that reaches its first location with a policy, whose list alone decides.
    #[inline(always)]
    pub fn adopt_simple(&self, policy: &'r Policy, way: Way) {
        self.policy.set(Some(policy));
        self.way.set(way);
    }
}
