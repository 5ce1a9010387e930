//! The command line: every verb of the interface contract that is built, and its exit codes.
//! `main` calls `run`; stdout is data, stderr is talk.

mod account;
mod apply;
mod assume;
mod check;
mod client;
mod completions;
mod config;
mod doctor;
mod exit;
mod explain;
mod held;
mod init;
mod ledger;
mod log;
mod man;
mod mode;
mod policy;
#[cfg(test)]
mod reference;
mod serve;
mod spf;
mod store;
mod time;
mod trial;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use exit::{Code, Failure};

/// Zero trust for mail platforms: nothing moves on trust alone.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, about, max_term_width = 100)]
struct Cli {
    /// Configuration file [default: ./countersign.toml, then /etc/countersign/countersign.toml, else defaults]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show what it does: made-up customers, real SMTP, on loopback only
    Try(trial::Try),
    /// Write a first configuration beside a Postfix, and say what that needs
    Init(init::Init),
    /// Run the server
    Serve(serve::Serve),
    /// Look at everything that mail depends on, and say what to do
    Doctor(doctor::Doctor),
    /// Load accounts from a file
    Apply(apply::Apply),
    /// Judge a message, or check SPF, without a server; nothing is written
    #[command(subcommand)]
    Check(Check),
    /// Explain a ruling by its ref
    Explain(explain::Explain),
    /// Held mail
    #[command(subcommand)]
    Held(held::HeldVerb),
    /// Accounts
    #[command(subcommand)]
    Account(account::AccountVerb),
    /// Rule and record, but let pass
    Observe(mode::SetMode),
    /// Rule and act
    Enforce(mode::SetMode),
    /// The ledger
    #[command(subcommand)]
    Ledger(ledger::LedgerVerb),
    /// The store
    #[command(subcommand)]
    Store(store::StoreVerb),
    /// Policies: validate them, run their cases, compare them
    #[command(subcommand)]
    Policy(policy::PolicyVerb),
    /// The configuration
    #[command(subcommand)]
    Config(config::ConfigVerb),
    /// Print a script that completes commands in a shell
    Completions(completions::Completions),
    /// Print the manual page, or write one for each command
    Man(man::Man),
}

#[derive(Debug, Subcommand)]
enum Check {
    /// Judge messages from files
    Message(Box<check::CheckMessage>),
    /// Judge every *.eml file below a directory
    Corpus(Box<check::CheckCorpus>),
    /// Evaluate SPF (RFC 7208) for a domain and an address
    Spf(spf::CheckSpf),
}

/// Reads the command line and carries it out.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => return explained(&told),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::internal(format!("cannot start: {error}")).report(),
    };
    ended(runtime.block_on(carry_out(cli)).and_then(exit::written))
}

fn ended(outcome: Result<Code, Failure>) -> ExitCode {
    match outcome {
        Ok(code) => code.into(),
        Err(failure) => failure.report(),
    }
}

/// Help and version, which are what was asked for, and what is wrong with a command line.
fn explained(told: &clap::Error) -> ExitCode {
    let printed = told.print();
    if told.use_stderr() {
        return Code::Usage.into();
    }
    exit::note(printed.and_then(|()| std::io::stdout().flush()));
    ended(exit::written(Code::Ok))
}

/// The policy engine refuses to judge when little of the stack is left: there is plenty of it.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    const STACK: usize = 8 << 20;
    tokio::runtime::Builder::new_multi_thread().thread_stack_size(STACK).enable_all().build()
}

async fn carry_out(cli: Cli) -> Result<Code, Failure> {
    let file = cli.config.as_deref();
    match cli.verb {
        Verb::Try(trial) => trial.run().await,
        Verb::Init(init) => init.run(file).await,
        Verb::Serve(serve) => serve.run(file).await,
        Verb::Doctor(doctor) => doctor.run(file).await,
        Verb::Apply(apply) => apply.run(file).await,
        Verb::Check(Check::Message(check)) => check.run(file).await,
        Verb::Check(Check::Corpus(check)) => check.run(file).await,
        Verb::Check(Check::Spf(check)) => check.run(file).await,
        Verb::Explain(explain) => explain.run(file).await,
        Verb::Held(verb) => verb.run(file).await,
        Verb::Account(verb) => verb.run(file).await,
        Verb::Observe(set) => set.run(file, countersign_core::request::Mode::Observe).await,
        Verb::Enforce(set) => set.run(file, countersign_core::request::Mode::Enforce).await,
        Verb::Ledger(verb) => verb.run(file).await,
        Verb::Store(verb) => verb.run(file).await,
        Verb::Policy(verb) => verb.run(file).await,
        Verb::Config(verb) => verb.run(file).await,
        Verb::Completions(completions) => completions.run(),
        Verb::Man(man) => man.run(),
    }
}
