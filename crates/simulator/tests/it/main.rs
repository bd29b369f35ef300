//! The simulator from outside: a scripted client for each refusal and for the flow, and Zoom's own client.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "helpers of tests fail like the tests they help"
)]

mod client;
mod failures;
mod files;
mod flow;
mod matrix;
mod official;
mod people;
mod pictures;
mod refusals;
mod servers;
mod standstill;
mod webhooks;
mod whole;
