//! Why a connection to an upstream failed.

use crate::codec::{Reader, SharedRecord, Writer};

/// The cause, as reported by Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectFailure {
    /// The cluster has no host: its name does not resolve.
    Dns,
    /// Nothing listens at the address.
    Refused,
    /// The TLS handshake failed: an untrusted certificate, or no TLS at the other end.
    Tls,
    /// No answer within the cluster's `connect_timeout`.
    Timeout,
    /// Another cause, which is in Envoy's reason.
    Other,
    /// Envoy does not have this cluster, or the matcher names another one.
    NoCluster,
}

/// The address that replaces a cluster's hosts if its name does not resolve: `no_host` in envoy.yaml. Nobody has it, so
/// it is never a server's own.
const NO_HOST: &[u8] = b"255.255.255.255:1";

impl ConnectFailure {
    /// All causes.
    pub const ALL: [ConnectFailure; 6] = [
        ConnectFailure::Dns,
        ConnectFailure::Refused,
        ConnectFailure::Tls,
        ConnectFailure::Timeout,
        ConnectFailure::Other,
        ConnectFailure::NoCluster,
    ];

    /// Determines the cause from Envoy's `upstream.transport_failure_reason` and the address that Envoy tried.
    ///
    /// ```
    /// use sluice::connect_failure::ConnectFailure;
    ///
    /// let of = |reason: &str, address: &str| ConnectFailure::of(reason.as_bytes(), address.as_bytes());
    /// assert_eq!(of("delayed connect error: Connection refused", "10.0.0.1:443"), ConnectFailure::Refused);
    /// assert_eq!(of("delayed connect error: Connection refused", "255.255.255.255:1"), ConnectFailure::Dns);
    /// assert_eq!(of("TLS_error:|268435581:SSL routines", "10.0.0.1:443"), ConnectFailure::Tls);
    /// ```
    pub fn of(reason: &[u8], address: &[u8]) -> Self {
        let has = |word: &str| reason.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()));
        if address == NO_HOST {
            ConnectFailure::Dns
        } else if has("tls") || has("ssl") {
            ConnectFailure::Tls
        } else if has("refused") || has("error:_111") || has("error:111") {
            ConnectFailure::Refused
        } else if has("timeout") || has("timed out") {
            ConnectFailure::Timeout
        } else {
            ConnectFailure::Other
        }
    }

    /// A label for it, which follows the outcome: `connect_failure:tls`.
    pub fn label(self) -> &'static str {
        match self {
            ConnectFailure::Dns => "dns",
            ConnectFailure::Refused => "refused",
            ConnectFailure::Tls => "tls",
            ConnectFailure::Timeout => "timeout",
            ConnectFailure::Other => "other",
            ConnectFailure::NoCluster => "no_cluster",
        }
    }

    /// The message for operators, with Envoy's own words if it has any.
    pub fn explain(self, reason: &str) -> String {
        match self {
            ConnectFailure::Dns => "it has no host: its name does not resolve".to_owned(),
            ConnectFailure::NoCluster => {
                "it is not in `clusters`, has no host, or its line in `cluster_matcher` names another cluster"
                    .to_owned()
            }
            ConnectFailure::Refused | ConnectFailure::Tls | ConnectFailure::Timeout | ConnectFailure::Other => {
                let end = reason.char_indices().nth(MAX_REASON).map_or(reason.len(), |(end, _)| end);
                reason.get(..end).unwrap_or_default().to_owned()
            }
        }
    }
}

/// The longest reason that is stored, in characters.
const MAX_REASON: usize = 300;

/// The last failure to connect to a cluster, shared by the workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastFailure {
    /// The cause.
    pub cause: ConnectFailure,
    /// The time, in seconds since the epoch.
    pub at: u64,
    /// The message for operators.
    pub reason: String,
}

/// The cause's index in [`ConnectFailure::ALL`], the time, and the reason.
///
/// ```
/// use sluice::codec::SharedRecord;
/// use sluice::connect_failure::{ConnectFailure, LastFailure};
///
/// let last = LastFailure { cause: ConnectFailure::Tls, at: 7, reason: "no".to_owned() };
/// assert_eq!(LastFailure::parse(&last.encode()), Some(last));
/// assert_eq!(LastFailure::parse(b"?"), None);
/// ```
impl SharedRecord for LastFailure {
    /// The unversioned format started with the cause: six of them.
    const VERSION: u8 = 6;

    fn write(&self, out: &mut Writer) {
        let place = ConnectFailure::ALL.iter().position(|cause| *cause == self.cause).unwrap_or_default();
        out.u8(place as u8);
        out.u64(self.at);
        out.text(&self.reason);
    }

    fn read(input: &mut Reader<'_>, _: u8) -> Option<Self> {
        let cause = *ConnectFailure::ALL.get(usize::from(input.u8()?))?;
        Some(LastFailure { cause, at: input.u64()?, reason: input.text()?.to_owned() })
    }
}
