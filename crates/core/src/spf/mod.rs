//! SPF (RFC 7208): may this address send for this domain? Pure: it asks for names and is called again.
//! The SPF probe, `check spf` and the DNS hand-over call it.
//!
//! ```text
//! policy      a published record: grammar, printing       macro_string  %{ir}.%{v}._spf.%{d2}
//! answers     questions, answers, what was selected       expand        macros to names and explanations
//! check       check_host(): one address                   evaluation    the walk over the records
//! pool        all addresses of a pool, worst result       asking        questions within the limits, trace
//! stop        what ends a walk early                      naming        names of terms, text of exp=
//!                                                         reverse       validated names: ptr and %{p}
//! ```
//!
//! The caller's loop: [`check_host`] -> [`Step::Ask`] -> look up, [`Answers::insert`] -> [`check_host`] again,
//! until [`Step::Done`]. Each call replays the evaluation over the answers so far; a replay costs
//! microseconds, and no state is kept between calls.

mod answers;
mod asking;
mod check;
mod evaluation;
mod expand;
mod macro_string;
mod naming;
mod policy;
mod pool;
mod reverse;
mod stop;

pub use answers::{Answer, Answers, Failure, Query, Record, RecordKind};
pub use check::{Identity, Outcome, SpfResult, Step, check_host};
pub use macro_string::{DomainSpec, Letter, Macro, MacroError, MacroString, Part};
pub use policy::{Directive, Lengths, Mechanism, Policy, PolicyError, Qualifier, TermError};
pub use pool::{MAX_ASKED_ADDRESSES, PoolOutcome, PoolStep, pool};

#[cfg(test)]
mod tests;
