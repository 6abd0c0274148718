//! The prompt library: templates, references in requests, configuration.

mod configured;
mod references;
mod templates;
