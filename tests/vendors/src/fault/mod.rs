//! What goes wrong: rules for requests and for streams, which a test arms and which wear off.
//!
//! Deliberately absent: chance. A rule meets the first requests or messages that it fits, as often as it says,
//! so that a test knows what its client met.

mod http;
mod stream;

pub use http::{HttpFault, HttpRule, When, apply};
pub use stream::{StreamFault, StreamRule, Verdict};

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::ledger::Vendor;
use crate::locked;

/// The rules that are armed.
#[derive(Default)]
pub struct Faults {
    http: Mutex<Vec<HttpRule>>,
    stream: Mutex<Vec<StreamRule>>,
    /// Spares a lock for each message of a stream while there is nothing to find.
    any_stream: AtomicBool,
}

/// The rules as the control interface shows them.
#[derive(Serialize)]
pub struct Armed {
    http: Vec<HttpRule>,
    stream: Vec<StreamRule>,
}

impl Faults {
    /// Arms a rule for requests, after those that are armed.
    pub fn on_request(&self, rule: HttpRule) {
        locked(&self.http).push(rule);
    }

    /// Arms a rule for streams, after those that are armed.
    pub fn on_stream(&self, rule: StreamRule) {
        let mut rules = locked(&self.stream);
        rules.push(rule);
        self.any_stream.store(true, Ordering::SeqCst);
    }

    /// Disarms every rule.
    pub fn clear(&self) {
        locked(&self.http).clear();
        let mut rules = locked(&self.stream);
        rules.clear();
        self.any_stream.store(false, Ordering::SeqCst);
    }

    /// What is armed, with how often it is still to come.
    #[must_use]
    pub fn armed(&self) -> Armed {
        Armed { http: locked(&self.http).clone(), stream: locked(&self.stream).clone() }
    }

    /// Takes the fault that a request meets.
    #[must_use]
    pub fn take(&self, vendor: Vendor, method: &str, path: &str) -> Option<HttpRule> {
        let mut rules = locked(&self.http);
        let found = rules.iter().position(|rule| rule.fits(vendor, method, path))?;
        let rule = rules[found].clone();
        rules[found].times -= 1;
        if rules[found].times == 0 {
            rules.remove(found);
        }
        Some(rule)
    }

    /// What becomes of a message of a stream.
    #[must_use]
    pub fn judge(&self, vendor: Vendor, path: &str, kind: &str) -> Verdict {
        if !self.any_stream.load(Ordering::SeqCst) {
            return Verdict::Send;
        }
        let mut rules = locked(&self.stream);
        let Some(found) = rules.iter().position(|rule| rule.fits(vendor, path, kind)) else {
            return Verdict::Send;
        };
        if rules[found].after > 0 {
            rules[found].after -= 1;
            return Verdict::Send;
        }
        let fault = rules[found].fault.clone();
        rules[found].times -= 1;
        if rules[found].times == 0 {
            rules.remove(found);
            self.any_stream.store(!rules.is_empty(), Ordering::SeqCst);
        }
        Verdict::Fault(fault)
    }
}
