//! Where a request can go: the configured upstreams and models, and the choice among a model's targets.

mod strategy;
mod table;
mod weighted;

pub use strategy::{by_name, AffinityBy, Build, Choice, Factory, Member, Pick, Strategy, TargetSet, STRATEGIES};
pub use table::{Credential, Model, Secret, Table, Target, Tried, Upstream, MAX_TARGETS};
pub use weighted::SmoothWeighted;
