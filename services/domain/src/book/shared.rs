//! What the copies of a book have in common until one of them changes it.
//!
//! A book is copied for every round of decisions and for every instant, and most of what it holds is the same in all of
//! them: a copy costs nothing, and whoever changes something first has his own from then on.
//!
//! Invariant: what one copy does, no other one sees.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value that copies share until they change it. It is stored, compared and told as the value itself.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Shared<T>(Arc<T>);

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T: Clone> Shared<T> {
    /// A value of one's own.
    pub(super) fn own(&self) -> T {
        T::clone(self)
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

impl<Row, T: FromIterator<Row>> FromIterator<Row> for Shared<T> {
    fn from_iter<Rows: IntoIterator<Item = Row>>(rows: Rows) -> Self {
        Self(Arc::new(T::from_iter(rows)))
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl<T: Serialize> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        T::serialize(self, serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Shared<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Arc::new(T::deserialize(deserializer)?)))
    }
}

/// Shared maps whose keys are no text, stored as [`super::pairs`] stores them.
pub(super) mod as_pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Shared;
    use crate::book::pairs;

    pub(in crate::book) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &Shared<BTreeMap<K, V>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        pairs::serialize::<K, V, S>(map, serializer)
    }

    pub(in crate::book) fn deserialize<
        'de,
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    >(
        deserializer: D,
    ) -> Result<Shared<BTreeMap<K, V>>, D::Error> {
        Ok(Shared::from(pairs::deserialize::<K, V, D>(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_copy_is_the_same_place_until_one_of_them_changes_it() {
        let mut first: Shared<BTreeMap<u32, u32>> = [(1, 10)].into_iter().collect();
        let second = first.clone();
        assert!(Arc::ptr_eq(&first.0, &second.0));
        first.insert(2, 20);
        assert_eq!((first.len(), second.len()), (2, 1));
        assert_ne!(first, second);
        let place = Arc::as_ptr(&first.0);
        // Nobody else has it any more: it is changed where it is.
        first.insert(3, 30);
        assert_eq!(place, Arc::as_ptr(&first.0));
    }

    #[test]
    fn it_is_told_as_the_value_itself() {
        let rows = BTreeMap::from([(1, vec!["a"])]);
        assert_eq!(format!("{:?}", Shared::from(rows.clone())), format!("{rows:?}"));
    }
}
