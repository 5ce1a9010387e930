//! `limits`: whether a login has sent as much today as it may, and its account to as many new people.
//! It asks the store, not the network; where no cap is set it asks nobody.

use std::sync::Arc;

use countersign_core::evidence::{Evidence, Finding, Kind, Why};
use countersign_core::request::Submission;

use super::{Answer, Case, Slow};
use crate::accounts::Directory;
use crate::counts::{self, Day};
use crate::store::{Keys, Store, StoreError};

/// The caps of `[limits]`; none is no cap.
#[derive(Debug, Clone, Copy, Default)]
pub struct DayCaps {
    pub per_credential: Option<u64>,
    pub new_recipients: Option<u64>,
}

/// Compares what was counted with the caps.
pub struct Limits {
    caps: DayCaps,
    counted: Option<Counted>,
}

/// Where it is counted.
struct Counted {
    store: Store,
    directory: Directory,
    keys: Keys,
}

/// What was counted, and what it is compared with.
#[derive(Default)]
struct Count {
    login_cap: Option<u64>,
    sent: u64,
    new_cap: Option<u64>,
    new_before: u64,
    /// The places of recipients to whom the account never wrote.
    strangers: Vec<usize>,
}

impl Limits {
    /// For `check`, which counts nothing: no cap is ever reached.
    #[must_use]
    pub fn uncounted() -> Arc<dyn Slow> {
        Arc::new(Self { caps: DayCaps::default(), counted: None })
    }

    /// The caps of the configuration; a credential may have a smaller one.
    #[must_use]
    pub fn counted(caps: DayCaps, store: Store, directory: Directory, keys: Keys) -> Arc<dyn Slow> {
        Arc::new(Self { caps, counted: Some(Counted { store, directory, keys }) })
    }

    async fn evidence(&self, case: &Case) -> Evidence {
        let found = |finding| Evidence::new(Kind::Limits, finding, "store", case.at());
        let (Some(submission), Some(counted)) = (case.submission(), &self.counted) else {
            return found(Finding::Unknown(Why::NotConfigured));
        };
        match self.count(counted, submission, case).await {
            Ok(count) => count.evidence(case),
            Err(error) => {
                tracing::error!(%error, "account.id" = %case.account.id, "what was sent today cannot be read");
                found(Finding::Unknown(Why::Unavailable))
            }
        }
    }

    async fn count(
        &self,
        Counted { store, directory, keys }: &Counted,
        submission: &Submission,
        case: &Case,
    ) -> Result<Count, StoreError> {
        let (account, day) = (&case.account.id, Day::of(case.at()));
        let login = &submission.credential;
        let own = directory.login(login).await.map_err(|error| StoreError::Damaged(error.to_string()))?;
        let own = own.filter(|own| own.account == *account).and_then(|own| own.daily_cap);
        let mut count = Count {
            login_cap: self.caps.per_credential.into_iter().chain(own).min(),
            new_cap: self.caps.new_recipients,
            ..Count::default()
        };
        if count.login_cap.is_some() {
            count.sent = counts::sent_today(store, account, login, day).await?;
        }
        if count.new_cap.is_some() {
            let recipients = submission.envelope.recipients.iter();
            let people: Vec<_> = recipients.map(|to| counts::pseudonym(keys, account, to)).collect();
            count.new_before = counts::new_today(store, account, day).await?;
            count.strangers = counts::strangers(store, account, &people).await?;
        }
        Ok(count)
    }
}

impl Slow for Limits {
    fn kind(&self) -> Kind {
        Kind::Limits
    }

    fn look<'a>(&'a self, case: &'a Case) -> Answer<'a> {
        Box::pin(self.evidence(case))
    }
}

impl Count {
    fn evidence(self, case: &Case) -> Evidence {
        let found = |finding| Evidence::new(Kind::Limits, finding, "store", case.at());
        let strangers = self.strangers.len() as u64;
        let mut evidence = if self.login_cap.is_none() && self.new_cap.is_none() {
            return found(Finding::Unknown(Why::NotConfigured));
        } else if self.login_cap.is_some_and(|cap| self.sent >= cap) {
            found(Finding::Fail).detail("credential-day")
        } else if self.new_cap.is_some_and(|cap| strangers > 0 && self.new_before + strangers > cap) {
            found(Finding::Fail).detail("new-recipients-day")
        } else {
            found(Finding::Pass)
        };
        if let Some(cap) = self.login_cap {
            evidence = evidence.with(counts::LOGIN_CAP, cap).with("sent_today", self.sent);
        }
        if let Some(cap) = self.new_cap {
            evidence = evidence.with(counts::NEW_CAP, cap).with("new_today", self.new_before);
            evidence = evidence.with(counts::STRANGERS, self.strangers);
        }
        evidence
    }
}
