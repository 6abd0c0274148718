//! Limits of all callers with the same value of a label together, such as a team's.

use std::rc::Rc;

use crate::limits::{Limits, Subject};

/// The maximum number of label values with limits.
pub const MAX_LABEL_LIMITS: usize = 10_000;

/// The label values with limits, in order of name and value.
#[derive(Clone, Debug, Default)]
pub struct LabelLimits(Vec<(Rc<str>, Rc<str>, Limits)>);

impl LabelLimits {
    /// Adds limits. `false`: this label's value has some already.
    pub fn insert(&mut self, name: &str, value: &str, limits: Limits) -> bool {
        match self.find(name, value) {
            Ok(_) => false,
            Err(place) => {
                self.0.insert(place, (name.into(), value.into(), limits));
                true
            }
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The limits that apply to a caller with these labels.
    ///
    /// ```
    /// use sluice::keys::LabelLimits;
    /// use sluice::limits::{Limits, Subject};
    ///
    /// let mut limits = LabelLimits::default();
    /// limits.insert("team", "a", Limits { requests_per_day: Some(5), ..Limits::default() });
    /// let labels = [("env".to_owned(), "a".to_owned()), ("team".to_owned(), "a".to_owned())];
    /// let found: Vec<_> = limits.of(&labels).map(|(subject, _)| subject).collect();
    /// assert_eq!(found, [Subject::Label("team".into(), "a".into())]);
    /// ```
    pub fn of<'a>(&'a self, labels: &'a [(String, String)]) -> impl Iterator<Item = (Subject, Limits)> + 'a {
        labels.iter().filter(|_| !self.is_empty()).filter_map(|(name, value)| {
            let (name, value, limits) = self.0.get(self.find(name, value).ok()?)?;
            Some((Subject::Label(name.clone(), value.clone()), *limits))
        })
    }

    fn find(&self, name: &str, value: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, of, _)| (&**known, &**of).cmp(&(name, value)))
    }
}
