//! The `/_mock` endpoints, and the plan they change.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hyper::{Method, StatusCode, Uri};
use serde_json::{json, Value};

use crate::journal::Journal;
use crate::plan::{Fault, Orders, Plan};

/// The current plan. Each request takes it once, so that `times` can count.
#[derive(Debug, Default)]
pub struct Control {
    current: Mutex<Current>,
}

/// The same settings twice: as written and as checked.
#[derive(Debug, Default)]
struct Current {
    orders: Orders,
    plan: Arc<Plan>,
}

impl Control {
    /// The plan for the next request.
    pub fn take(&self) -> Arc<Plan> {
        self.lock().take()
    }

    /// Whether to refuse a new connection; a refusal counts as a request.
    pub fn take_refusal(&self) -> bool {
        let mut current = self.lock();
        let refusing = current.plan.fault == Some(Fault::Refuse);
        if refusing {
            current.take();
        }
        refusing
    }

    pub fn is_refusing(&self) -> bool {
        self.lock().plan.fault == Some(Fault::Refuse)
    }

    fn order(&self, orders: Orders) -> Result<Value, String> {
        let plan = Arc::new(Plan::try_from(&orders)?);
        let shown = json!(orders);
        *self.lock() = Current { orders, plan };
        Ok(shown)
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    fn take(&mut self) -> Arc<Plan> {
        let plan = Arc::clone(&self.plan);
        match self.orders.times {
            None => {}
            Some(0 | 1) => *self = self.recovered(),
            Some(left) => self.orders.times = Some(left - 1),
        }
        plan
    }

    /// Resets to healthy answers; text and limit are not faults, so they stay.
    fn recovered(&self) -> Self {
        let (text, slots) = (self.plan.text.clone(), self.plan.slots.clone());
        let orders = Orders { text: text.clone(), concurrency: self.orders.concurrency, ..Orders::default() };
        Self { orders, plan: Arc::new(Plan { text, slots, ..Plan::default() }) }
    }
}

/// Whether a path belongs to the control interface.
pub fn owns(path: &str) -> bool {
    path == "/_mock" || path.starts_with("/_mock/")
}

/// Answers a control call.
pub fn answer(control: &Control, journal: &Journal, method: &Method, uri: &Uri, body: &Bytes) -> (StatusCode, Bytes) {
    let outcome = match (method, uri.path()) {
        (&Method::GET, "/_mock") => Ok(json!(control.lock().orders).to_string()),
        (&Method::PUT, "/_mock") => put(control, body).map(|shown| shown.to_string()),
        (&Method::DELETE, "/_mock") => {
            journal.clear();
            control.order(Orders::default()).map(|shown| shown.to_string())
        }
        (&Method::GET, "/_mock/requests") => since(uri).map(|first| journal.to_json(first)),
        (_, path) => Err(format!("no {method} {path} here")),
    };
    match outcome {
        Ok(shown) => (StatusCode::OK, Bytes::from(shown)),
        Err(error) => (StatusCode::BAD_REQUEST, Bytes::from(json!({"error": error}).to_string())),
    }
}

fn put(control: &Control, body: &Bytes) -> Result<Value, String> {
    let orders = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    control.order(orders)
}

/// `?since=N`; default: from the first.
fn since(uri: &Uri) -> Result<usize, String> {
    match uri.query() {
        None | Some("") => Ok(0),
        Some(query) => query
            .strip_prefix("since=")
            .and_then(|number| number.parse().ok())
            .ok_or_else(|| format!("?{query}: only since=NUMBER")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_expires_and_the_rest_stays() {
        let control = Control::default();
        let orders = r#"{"fault":"hang","times":2,"text":"safe","concurrency":3}"#;
        put(&control, &Bytes::from(orders)).expect("valid");
        let faults: Vec<bool> = (0..3).map(|_| control.take().fault.is_some()).collect();
        assert_eq!(faults, [true, true, false]);
        assert_eq!(control.take().text.as_deref(), Some("safe"));
        assert_eq!(json!(control.lock().orders), json!({"text": "safe", "concurrency": 3}));
    }

    #[test]
    fn only_refusals_count_at_connect() {
        let control = Control::default();
        put(&control, &Bytes::from(r#"{"fault":"hang","times":1}"#)).expect("valid");
        assert!(!control.take_refusal());
        put(&control, &Bytes::from(r#"{"fault":"refuse","times":1}"#)).expect("valid");
        assert!(control.take_refusal());
        assert!(!control.take_refusal());
    }
}
