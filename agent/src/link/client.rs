//! The calls of an agent, each with its limit of time, and what a failed one means.

use std::sync::Arc;
use std::time::Duration;

use holdpoint_common::channel::{self, ChannelSettings, ConnectError};
use holdpoint_common::clock::Clock;
use holdpoint_common::credentials::Credentials;
use holdpoint_common::enrolment::{self, EnrolError, Enrolled};
use holdpoint_common::proto::v1::agent_link_client::AgentLinkClient;
use holdpoint_common::proto::v1::{CheckInRequest, Directives, HostFacts, ReportAck, ReportPart};
use holdpoint_common::refusal::Reason;
use holdpoint_common::tls::{self, TlsError};
use tonic::codegen::tokio_stream;
use tonic::transport::Channel;
use tonic::{Response, Status};

/// What an answer may take beyond the time for which the collector may hold the call.
const ANSWER: Duration = Duration::from_secs(30);
/// What a report may take: a collector after a blackout has many to take.
const REPORT: Duration = Duration::from_mins(2);
/// Largest answer, in bytes.
const MAX_ANSWER: usize = 256 * 1024;

/// Why a call brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No connection; says whether clock, trust, refusal or network.
    #[error("no connection to the collector")]
    Connect(#[from] ConnectError),
    /// No TLS configuration from the held identity.
    #[error("the held identity cannot be used")]
    Tls(#[from] TlsError),
    /// The collector refused, with what to do next.
    #[error("the collector refused ({reason}): {advice}")]
    Refused {
        /// The code.
        reason: Reason,
        /// What happened and what to do.
        advice: String,
    },
    /// The call failed otherwise.
    #[error("{call} failed ({:?}): {}", status.code(), status.message())]
    Call {
        /// Which call.
        call: &'static str,
        /// The answer.
        status: Box<Status>,
    },
    /// No answer in time.
    #[error("{call} was not answered within {} s", limit.as_secs())]
    Late {
        /// Which call.
        call: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// No new certificate.
    #[error("the certificate was not renewed")]
    Renew(#[source] Box<EnrolError>),
}

impl LinkError {
    /// The collector's refusal, when this is one.
    pub fn refusal(&self) -> Option<Reason> {
        match self {
            Self::Refused { reason, .. } => Some(*reason),
            Self::Renew(cause) => match &**cause {
                EnrolError::Refused(status) => Reason::of(status),
                EnrolError::Connect(_)
                | EnrolError::Tls(_)
                | EnrolError::Key(_)
                | EnrolError::Request(_)
                | EnrolError::Answer(_) => None,
            },
            Self::Connect(_) | Self::Tls(_) | Self::Call { .. } | Self::Late { .. } => None,
        }
    }
}

/// One connection to the collector.
pub struct Client {
    channel: Channel,
    agent_link: AgentLinkClient<Channel>,
}

impl Client {
    /// Connects with the held identity.
    ///
    /// # Errors
    /// No connection, with its diagnosis.
    pub async fn connect(
        collector: &str,
        credentials: &Credentials,
        believed: Arc<dyn Clock>,
    ) -> Result<Self, LinkError> {
        let config = tls::client_config(Some(credentials), credentials.trust(), believed)?;
        let channel = channel::connect(collector, Arc::new(config), ChannelSettings::default()).await?;
        let agent_link = AgentLinkClient::new(channel.clone()).max_decoding_message_size(MAX_ANSWER);
        Ok(Self { channel, agent_link })
    }

    /// Says what the agent holds and hears what the collector wants.
    ///
    /// # Errors
    /// A refusal, a failed call, or no answer in time.
    pub async fn check_in(&mut self, request: CheckInRequest) -> Result<Directives, LinkError> {
        let limit = ANSWER + Duration::from_secs(request.max_hold_s.into());
        within("the check-in", limit, self.agent_link.check_in(request)).await
    }

    /// Brings sections; returns after they are on the collector's disk.
    ///
    /// # Errors
    /// A refusal, a failed call, or no answer in time.
    pub async fn report(&mut self, parts: Vec<ReportPart>) -> Result<ReportAck, LinkError> {
        within("the report", REPORT, self.agent_link.report(tokio_stream::iter(parts))).await
    }

    /// Exchanges the certificate for a new one.
    ///
    /// # Errors
    /// The collector refused, or the answer is not usable.
    pub async fn renew(&self, held: &Credentials, facts: HostFacts) -> Result<Enrolled, LinkError> {
        let renewal = enrolment::renew(self.channel.clone(), held, Some(facts));
        match tokio::time::timeout(ANSWER, renewal).await {
            Ok(answer) => answer.map_err(|it| LinkError::Renew(Box::new(it))),
            Err(_) => Err(LinkError::Late { call: "the renewal", limit: ANSWER }),
        }
    }
}

async fn within<T>(
    call: &'static str,
    limit: Duration,
    answer: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, LinkError> {
    match tokio::time::timeout(limit, answer).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(match Reason::of(&status) {
            Some(reason) => LinkError::Refused { reason, advice: status.message().to_owned() },
            None => LinkError::Call { call, status: Box::new(status) },
        }),
        Err(_) => Err(LinkError::Late { call, limit }),
    }
}
