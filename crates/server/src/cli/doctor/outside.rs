//! The checks of what is outside: name servers, upstreams, and whether customers' domains authorise our ways out.

use std::time::Duration;

use countersign_core::address::Domain;
use countersign_core::spf::SpfResult;
use countersign_wire::smtp::capabilities::Capabilities;

use super::line::Line;
use crate::accounts::{Account, Directory};
use crate::boot::{Data, exits, resolver};
use crate::cli::exit::Code;
use crate::clock::Clock;
use crate::config::{Config, Resolvers};
use crate::doors::{Exit, Exits};
use crate::net::resolver::{Answer, RecordKind};
use crate::net::upstream::UpstreamError;
use crate::net::{Resolver, Upstream};
use crate::probes::spf::{Checked, evaluate};

/// Each name server by itself: one that is silent costs every lookup its time.
pub(super) async fn resolvers(config: &Config) -> Vec<Line> {
    let each: Vec<(String, Config)> = match &config.dns.resolvers {
        Resolvers::System => vec![("the machine's".to_owned(), config.clone())],
        Resolvers::List(list) => list
            .iter()
            .map(|server| {
                let mut one = config.clone();
                one.dns.resolvers = Resolvers::List(vec![*server]);
                (server.to_string(), one)
            })
            .collect(),
    };
    let asked = each.iter().map(|(name, config)| resolves(name, config));
    futures_util::future::join_all(asked).await
}

async fn resolves(name: &str, config: &Config) -> Line {
    const CHECK: &str = "DNS";
    let remedy = "set `[dns] resolvers`; mail whose DNS is silent is held or deferred";
    let resolver = match resolver(config) {
        Ok(resolver) => resolver,
        Err(error) => return Line::failed(CHECK, Code::Configuration, error),
    };
    // Which answer is no matter.
    match resolver.look_up(&config.server.hostname, RecordKind::A).await {
        Answer::Timeout => Line::fail(CHECK, Code::Unreachable, format!("{name} does not answer"), remedy),
        Answer::Unavailable(why) => {
            Line::fail(CHECK, Code::Unreachable, format!("{name} cannot say: {why}"), remedy)
        }
        Answer::Records { .. } | Answer::NxDomain { .. } | Answer::NoData { .. } => {
            Line::ok(CHECK, format!("{name} answers"))
        }
    }
}

/// Each upstream: connected to, greeted, and asked what it offers. No mail is sent.
pub(super) async fn upstreams(config: &Config) -> Vec<Line> {
    let exits = match ways_out(config) {
        Ok(exits) => exits,
        Err(line) => return vec![line],
    };
    if exits.0.is_empty() {
        let remedy = "write a [[send.upstream]]";
        return vec![Line::fail("upstream", Code::Configuration, "there is none: no mail can leave", remedy)];
    }
    let asked = exits.0.iter().map(|exit| offers(&exit.name, &exit.upstream));
    let mut lines = futures_util::future::join_all(asked).await;
    lines.extend(exits.0.iter().filter(|exit| exit.way.egress.is_empty()).map(|exit| {
        let what =
            format!("`{}` has no `egress`: SPF cannot be checked, and every letter would be held", exit.name);
        Line::warn("egress", what, "set it: every address from which its mail leaves")
    }));
    lines
}

fn ways_out(config: &Config) -> Result<Exits, Line> {
    let wrong = |error: &dyn std::fmt::Display| Line::failed("upstream", Code::Configuration, error);
    let hostname = Domain::parse(&config.server.hostname).map_err(|error| wrong(&error))?;
    exits(config, &hostname).map_err(|error| wrong(&error))
}

async fn offers(name: &str, upstream: &Upstream) -> Line {
    const CHECK: &str = "upstream";
    let checked = tokio::time::timeout(PATIENCE, upstream.check()).await;
    let capabilities = match checked {
        Ok(Ok(capabilities)) => capabilities,
        Ok(Err(error @ UpstreamError::Unfit(_))) => {
            return Line::failed(CHECK, Code::Unreachable, format!("`{name}`: {error}"));
        }
        Ok(Err(error)) => {
            let remedy = "start it, or set `url`; until then customers hear 451";
            return Line::fail(CHECK, Code::Unreachable, format!("`{name}`: {error}"), remedy);
        }
        Err(_) => {
            return Line::fail(
                CHECK,
                Code::Unreachable,
                format!("`{name}` does not answer"),
                "start it, or set `url`",
            );
        }
    };
    let told = format!("`{name}` offers {}", words(&capabilities));
    match capabilities.eight_bit {
        true => Line::ok(CHECK, told),
        false => Line::warn(
            CHECK,
            format!("{told}, not 8BITMIME"),
            "customers are not offered it either: switch it on there",
        ),
    }
}

fn words(offered: &Capabilities) -> String {
    let size = offered.size.map(|size| format!("SIZE {size}"));
    let words = [
        (offered.eight_bit, "8BITMIME"),
        (offered.smtputf8, "SMTPUTF8"),
        (offered.dsn, "DSN"),
        (offered.pipelining, "PIPELINING"),
        (offered.chunking, "CHUNKING"),
        (offered.starttls, "STARTTLS"),
    ];
    let words = words.into_iter().filter(|(offered, _)| *offered).map(|(_, word)| word.to_owned());
    let all: Vec<String> = size.into_iter().chain(words).collect();
    if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
}

/// Every proved domain of every account: whether its SPF record authorises all addresses of the account's way out.
pub(super) async fn domains(config: &Config, open: Option<&Data>, clock: &Clock, most: usize) -> Vec<Line> {
    const CHECK: &str = "SPF";
    let Some(data) = open else { return vec![Line::skipped(CHECK, "there is no open store")] };
    let (Ok(exits), Ok(resolver)) = (ways_out(config), resolver(config)) else {
        return vec![Line::skipped(CHECK, "there is no way out, or no name server")];
    };
    let directory = Directory::of_store(data.store.clone());
    let accounts = match accounts(&directory).await {
        Ok(accounts) => accounts,
        Err(line) => return vec![line],
    };
    let proved = |account: &std::sync::Arc<Account>| {
        let proved = account.domains.iter().filter(|own| own.proved).map(|own| own.domain.clone());
        proved.map(|domain| (std::sync::Arc::clone(account), domain)).collect::<Vec<_>>()
    };
    let all: Vec<_> = accounts.iter().flat_map(proved).collect();
    if all.is_empty() {
        return vec![Line::skipped(CHECK, "no account has a proved domain yet (`countersign apply`)")];
    }
    let mut lines = Vec::new();
    for (account, domain) in all.iter().take(most) {
        lines.push(match exits.of(account) {
            Some(exit) => authorised(account, domain, exit, &resolver, config, clock).await,
            None => {
                let what = format!("account `{}` names an upstream that is not there", account.id);
                Line::fail(CHECK, Code::Configuration, what, "`countersign apply` it with another one")
            }
        });
    }
    if all.len() > most {
        let rest = all.len() - most;
        lines
            .push(Line::skipped(CHECK, format!("{rest} more domains: --domains {} looks at all", all.len())));
    }
    lines
}

async fn accounts(directory: &Directory) -> Result<Vec<std::sync::Arc<Account>>, Line> {
    let failed = |error: &dyn std::fmt::Display| Line::failed("SPF", Code::Internal, error);
    let mut accounts = Vec::new();
    for id in directory.ids().await.map_err(|error| failed(&error))? {
        accounts.push(directory.account(&id).await.map_err(|error| failed(&error))?);
    }
    Ok(accounts)
}

async fn authorised(
    account: &Account,
    domain: &Domain,
    exit: &Exit,
    resolver: &Resolver,
    config: &Config,
    clock: &Clock,
) -> Line {
    const CHECK: &str = "SPF";
    let way = &exit.way;
    let whose = format!("{domain} of account `{}`", account.id);
    if way.egress.is_empty() {
        let what = format!("{whose}: cannot be checked, upstream `{}` has no `egress`", exit.name);
        return Line::warn(CHECK, what, "set `egress`: every address from which its mail leaves");
    }
    let sender = format!("postmaster@{domain}");
    let evaluated = evaluate(resolver, &sender, &way.helo, &way.egress, clock.now());
    let remedy = format!(
        "{domain} has to authorise {} in its SPF record",
        way.egress.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    );
    match tokio::time::timeout(config.dns.budget, evaluated).await {
        Ok(Checked::Known(known)) if known.outcome.authorises_everyone => {
            Line::warn(CHECK, format!("{whose}: its record authorises everybody"), remedy)
        }
        Ok(Checked::Known(known)) if known.outcome.result == SpfResult::Pass => {
            Line::ok(CHECK, format!("{whose}: authorises all {} addresses", way.egress.len()))
        }
        Ok(Checked::Known(known)) => {
            let result = known.outcome.result.as_str();
            Line::warn(CHECK, format!("{whose}: {result} for {}", known.address), remedy)
        }
        Ok(Checked::Budget) => Line::warn(CHECK, format!("{whose}: needs too many lookups"), remedy),
        Ok(Checked::Late) | Err(_) => Line::warn(
            CHECK,
            format!("{whose}: DNS did not answer in time"),
            "see whether its name servers answer",
        ),
    }
}

const PATIENCE: Duration = Duration::from_secs(15);
