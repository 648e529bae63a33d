// SPDX-License-Identifier: Apache-2.0
//! What is kept of a request: its facts and the decision, beyond internal redirects and out of reach of scripts.

use cors_policy::facts::Site;
use cors_policy::{Decision, Facts, Grant, Status};

use super::bits::Bits;
use super::read::Note;

use crate::conf::Policy;
use crate::nginx::configuration::Configuration;
use crate::nginx::headers_in::Count;
use crate::nginx::request::Method;
use crate::nginx::slot::{Held, Keeps, Slot};
use crate::nginx::strings::Str;
use crate::nginx::Request;

/// What is kept of a request: the policy in effect, which is that of the first location with one that the request reached, or of one that
/// it was redirected to and that has its own; `Origin`; small values; and what was noted for the few requests that need more.
pub type Kept<'r> = Held<'r, Policy, Note<'r>>;

/// How a response is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// By all that is kept.
    #[default]
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
    /// As [`Way::Preflight`], with what is echoed.
    Echo,
    /// The answer to a preflight whose one `Origin` is not allowed by the list.
    PreflightDenied,
}

impl Keeps for Policy {
    type More<'r> = Note<'r>;
}

static SLOT: Slot<Policy> = Slot::new();

/// Reserves the memory for it in each request; `None` if that fails.
pub fn reserve(cf: &mut Configuration<'_>) -> Option<()> {
    SLOT.reserve(cf)
}

impl<'r> Request<'r> {
    /// What is kept of the request.
    #[inline(always)]
    pub fn kept(&self) -> &'r Kept<'r> {
        self.held(&SLOT)
    }
}

/// The small values.
impl Kept<'_> {
    /// The kind of the method.
    #[inline(always)]
    pub fn method(&self) -> Bits<'_, Method> {
        Bits::at(self.number(), 3)
    }

    /// How many `Origin` fields there are.
    #[inline(always)]
    pub fn origins(&self) -> Bits<'_, Count> {
        Bits::at(self.number(), 5)
    }

    /// How the response is written; this says what was decided if `Origin` alone decides.
    #[inline(always)]
    pub fn way(&self) -> Bits<'_, Way> {
        Bits::at(self.number(), 0)
    }

    /// Whether the policy in effect has been judged, and has let the request pass.
    #[inline(always)]
    pub fn is_judged(&self) -> Bits<'_, bool> {
        Bits::at(self.number(), 7)
    }

    /// Whether the application answers preflights, as the first policy says.
    pub fn leaves_preflights(&self) -> Bits<'_, bool> {
        Bits::at(self.number(), 8)
    }

    /// Whether the denial has been logged.
    pub fn is_logged(&self) -> Bits<'_, bool> {
        Bits::at(self.number(), 9)
    }

    /// Whether a decision is being made: the module's variables are empty meanwhile, so that it never depends on itself.
    pub fn is_deciding(&self) -> Bits<'_, bool> {
        Bits::at(self.number(), 10)
    }

    /// Whether the module's response has taken the place of another one, whose body has to be dropped.
    #[inline(always)]
    pub fn drops_body(&self) -> Bits<'_, bool> {
        Bits::at(self.number(), 11)
    }

    /// Whether the request has been counted.
    #[inline(always)]
    pub fn is_counted(&self) -> Bits<'_, bool> {
        Bits::at(self.number(), 12)
    }

    /// Whether all that matters of the request has been read: see [`Kept::read`].
    pub fn is_read(&self) -> Bits<'_, bool> {
        Bits::at(self.number(), 13)
    }

    /// What `Sec-Fetch-Site` says, which only enforcement looks at, and what tells a denial of the server's own origin from others.
    pub(super) fn site(&self) -> Bits<'_, Site> {
        Bits::at(self.number(), 14)
    }

    /// Whether `Origin` is that of `Host`, for the same purposes.
    pub(super) fn is_of_host(&self) -> Bits<'_, bool> {
        Bits::at(self.number(), 17)
    }

    /// Whether these two have been read.
    pub(super) fn has_sender(&self) -> Bits<'_, bool> {
        Bits::at(self.number(), 18)
    }

    /// The decision, if [`Way`] does not say it.
    fn decision(&self) -> Bits<'_, Decision> {
        Bits::at(self.number(), 19)
    }
}

impl<'r> Kept<'r> {
    /// The policy in effect.
    #[inline(always)]
    pub fn policy(&self) -> Option<&'r Policy> {
        self.one()
    }

    /// `Origin`; one of them, if there are several.
    #[inline(always)]
    pub fn origin(&self) -> Str<'r> {
        self.text()
    }

    /// Makes a decision, or a part of it.
    pub fn while_deciding<T>(&self, decide: impl FnOnce() -> T) -> T {
        self.is_deciding().set(true);
        let result = decide();
        self.is_deciding().set(false);
        result
    }

    /// What was read and decided, once there is a policy in effect.
    pub fn decided(&self, r: &Request<'r>) -> Option<(&'r Policy, Facts<'r>, Decision)> {
        let policy = self.policy()?;
        let decision = match self.way().get() {
            Way::General => self.decision().get(),
            Way::NoOrigin => Decision { status: Status::NoOrigin, grant: Grant::None },
            Way::Allowed => Decision { status: Status::Allowed, grant: Grant::Origin },
            Way::Denied => Decision { status: Status::Denied, grant: Grant::None },
            Way::ForAll if self.origins().get() == Count::None => {
                Decision { status: Status::NoOrigin, grant: Grant::Any }
            }
            Way::ForAll => Decision { status: Status::Allowed, grant: Grant::Any },
            Way::Preflight | Way::Echo => Decision { status: Status::Preflight, grant: Grant::Origin },
            Way::PreflightDenied => Decision { status: Status::PreflightOriginDenied, grant: Grant::None },
        };
        // What enforcement looks at tells a denial of the server's own origin from others.
        let is_denied = matches!(decision.status, Status::Denied | Status::Rejected);
        let facts = if is_denied { self.facts(r) } else { self.brief_facts() };
        Some((policy, facts, decision))
    }

    /// Whether preflights under `policy` are left to the application: what the first policy said about that is kept.
    pub fn leaves_preflight(&self, policy: &Policy) -> bool {
        self.leaves_preflights().get() || !policy.answers_preflights
    }

    pub(super) fn count_origins(&self) {
        match self.way().get() {
            Way::NoOrigin => self.origins().set(Count::None),
            Way::Allowed | Way::Denied => self.origins().set(Count::One),
            Way::General | Way::ForAll | Way::Preflight | Way::Echo | Way::PreflightDenied => {}
        }
    }

    /// Makes `policy` the one in effect, with a `decision` under it.
    pub fn adopt(&self, policy: &'r Policy, decision: Decision) {
        self.set_one(policy);
        self.way().set(self.way_of(policy, decision));
        self.decision().set(decision);
        self.is_logged().set(false);
    }

    fn way_of(&self, policy: &Policy, decision: Decision) -> Way {
        let is_any = policy.rules.origins.is_any();
        let origins = self.origins().get();
        match (decision.status, decision.grant) {
            _ if !policy.writes_all => Way::General,
            (Status::NoOrigin, Grant::None) => Way::NoOrigin,
            (Status::Allowed, Grant::Origin) => Way::Allowed,
            (Status::Denied, Grant::None) if origins == Count::One => Way::Denied,
            (Status::NoOrigin | Status::Allowed, Grant::Any) if is_any => Way::ForAll,
            _ => Way::General,
        }
    }

    /// Makes `policy` the one in effect for a request that reaches its first location with a policy, whose list alone decides.
    #[inline(always)]
    pub fn adopt_simple(&self, policy: &'r Policy, way: Way) {
        debug_assert!(way != Way::General);
        self.set_one(policy);
        self.way().set_first(way);
        self.is_judged().set_first(true);
    }
}
