//! How much each who asks may hold open: one token or one user must not take the places of all.
//!
//! Deliberately absent: how much there is for all together, which whoever serves it knows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is held open, by the name of who asked for it.
#[derive(Clone, Debug)]
pub struct Holders {
    most: usize,
    held: Arc<Mutex<HashMap<String, usize>>>,
}

/// A place that somebody holds; given back when dropped.
#[derive(Debug)]
pub struct Held {
    of: Holders,
    who: String,
}

impl Holders {
    /// Lets each hold so many.
    #[must_use]
    pub fn of_at_most(most: usize) -> Self {
        Self { most, held: Arc::default() }
    }

    /// A place for `who`; `None` when that one holds as many as one may.
    #[must_use]
    pub fn admit(&self, who: &str) -> Option<Held> {
        let mut held = self.lock();
        let count = held.entry(who.to_owned()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        drop(held);
        Some(Held { of: self.clone(), who: who.to_owned() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.of.lock();
        let Some(count) = held.get_mut(&self.who) else { return };
        *count -= 1;
        if *count == 0 {
            held.remove(&self.who);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_the_places_of_another_and_what_ends_is_free_again() {
        let holders = Holders::of_at_most(2);
        let mut own: Vec<Held> = (0..2).filter_map(|_| holders.admit("token-bot")).collect();
        assert_eq!(own.len(), 2);
        assert!(holders.admit("token-bot").is_none());
        assert!(holders.admit("ann").is_some());
        own.pop();
        own.extend(holders.admit("token-bot"));
        assert_eq!(own.len(), 2);
        drop(own);
        assert!(holders.lock().is_empty());
    }
}
