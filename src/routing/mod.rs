//! Where a request can go: the configured upstreams and models, and the choice among a model's targets.

mod cluster_state;
mod ending;
mod options;
mod paths;
mod pick;
mod retry;
mod route;
mod strategy;
mod table;
mod upstream;
mod why;

pub use cluster_state::ClusterState;
pub use ending::Ending;
pub use options::{AnswerHeaders, ResponseModel, HOLD_JSON};
pub use paths::{is_unambiguous, PathRule, Paths, MAX_UPLOAD};
pub use pick::{Picked, Pool};
pub use retry::{Budget, BudgetBalance, Retry, RetryOn};
pub use route::{NotStarted, Route, RouteInput};
pub use strategy::{
    by_name, AffinityBy, Build, Factory, Member, Pick, PickInputs, Strategy, TargetSet, MAX_TARGETS, STRATEGIES,
};
pub use table::{Model, Table, Target};
pub use upstream::{Credential, Secret, Upstream};
