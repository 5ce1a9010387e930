//! File descriptors: how many this process may have, and how many sessions that is enough for.
//! `doors` asks before it opens any.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// So many sessions as are wanted, or as there are descriptors for, beside those of upstreams and our own.
/// The soft limit is raised to the hard one first.
pub(super) fn sessions(wanted: usize, upstream: usize) -> usize {
    let fit = fit(raised(), upstream);
    if fit < wanted {
        tracing::warn!(
            wanted,
            sessions = fit,
            "fewer sessions than `connections` can stand: this process may not open more files (raise the \
             hard limit, `LimitNOFILE=` of systemd)"
        );
    }
    wanted.min(fit)
}

fn fit(descriptors: u64, upstream: usize) -> usize {
    let ours = OURS.saturating_add(upstream as u64);
    usize::try_from(descriptors.saturating_sub(ours)).unwrap_or(usize::MAX).max(1)
}

fn raised() -> u64 {
    let now = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: now.maximum, maximum: now.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => now.maximum.unwrap_or(u64::MAX),
        Err(error) => {
            tracing::warn!(%error, "the limit of open files cannot be raised");
            now.current.unwrap_or(u64::MAX)
        }
    }
}

/// The store, DNS questions, the control socket, `/metrics`.
const OURS: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_leave_room_for_everything_else() {
        assert_eq!(fit(1024, 32), 736);
        assert_eq!(fit(100, 32), 1);
        assert_eq!(fit(u64::MAX, 32), usize::try_from(u64::MAX - 288).unwrap());
    }

    #[test]
    fn nobody_gets_more_than_is_wanted() {
        assert_eq!(sessions(1, 0), 1);
    }
}
