//! What is kept of a request: its facts and the decision, beyond internal redirects and out of reach of scripts.

use std::cell::Cell;
use std::ffi::c_void;

use cors_policy::origins::Evaluated;
use cors_policy::{Decision, Facts};

use crate::conf::{LocationConf, Policy};
use crate::nginx::configuration::Configuration;
use crate::nginx::slot::{Keeps, Late, Latest, Slot};
use crate::nginx::{OutOfMemory, Request};
use crate::zeroable;

zeroable! {
    /// What is kept of a request.
    pub struct Kept<'r> {
        /// The policy in effect: that of the first location with one that the request reached, or of one that it was redirected
        /// to and that has its own.
        pub policy: Cell<Option<&'r Policy>>,
        /// What decisions depend on.
        pub facts: Late<Facts<'r>>,
        /// The decision under `policy`.
        pub decision: Latest<Decision>,
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

impl Keeps for LocationConf {
    type Of<'r> = Kept<'r>;
}

/// Reserves the memory for it in each request.
pub fn reserve(cf: &mut Configuration<'_>) -> Option<Slot<LocationConf>> {
    Slot::reserve(
        cf,
        [
            "cors kept 1",
            "cors kept 2",
            "cors kept 3",
            "cors kept 4",
            "cors kept 5",
            "cors kept 6",
            "cors kept 7",
            "cors kept 8",
            "cors kept 9",
            "cors kept 10",
        ],
    )
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

    /// Makes `policy` the one in effect, with a `decision` under it.
    #[inline(always)]
    pub fn adopt(&self, policy: &'r Policy, decision: Decision) {
        self.policy.set(Some(policy));
        self.decision.set(decision);
        self.is_logged.set(false);
    }
}
