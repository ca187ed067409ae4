//! How many calls run at once, by what they cost, and who may call at all without a certificate.
//!
//! ```text
//! Enroll    no certificate needed   few at once, little time: strangers reach nothing else
//! CheckIn   certificate             small and held for up to a minute: bounded by connections
//! the rest  certificate             64 at once, which bounds the memory of decoding
//! ```
//! A call over its bound waits a little and is then answered UNAVAILABLE, so that a storm is
//! spread by the callers' own retries. The refusal comes before a byte of the call's body is
//! read. The collector's own socket is not bounded.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use holdpoint_common::refusal::Reason;
use tokio::sync::Semaphore;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tower::{Layer, Service};

use super::{Counters, Peer};

/// The one call without a client certificate.
const ENROLL: &str = "/holdpoint.v1.Enrollment/Enroll";
/// The call that is held.
const CHECK_IN: &str = "/holdpoint.v1.AgentLink/CheckIn";

/// Enrolments at once.
const ENROLLING: usize = 16;
/// Calls of all other kinds at once: times 4 MiB is the ceiling of memory for decoding.
const WORKING: usize = 64;
/// Calls that wait for their turn.
const WAITING: usize = 2_048;
/// How long a call waits for its turn.
const WAIT: Duration = Duration::from_secs(5);
/// Longest enrolment.
const ENROLL_TIME: Duration = Duration::from_secs(10);
/// Longest held check-in: the hold of 60 s and some.
const CHECK_IN_TIME: Duration = Duration::from_secs(90);
/// Longest call of any other kind until its answer begins.
const WORK_TIME: Duration = Duration::from_mins(1);

/// Wraps the services.
#[derive(Debug, Clone)]
pub(super) struct Admission(Arc<Gates>);

#[derive(Debug)]
struct Gates {
    enrolling: Semaphore,
    working: Semaphore,
    waiting: AtomicUsize,
    counters: Arc<Counters>,
}

impl Admission {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self(Arc::new(Gates {
            enrolling: Semaphore::new(ENROLLING),
            working: Semaphore::new(WORKING),
            waiting: AtomicUsize::new(0),
            counters,
        }))
    }
}

impl<S> Layer<S> for Admission {
    type Service = Admitted<S>;

    fn layer(&self, inner: S) -> Admitted<S> {
        Admitted { inner, gates: Arc::clone(&self.0) }
    }
}

/// A service behind the gates.
#[derive(Debug, Clone)]
pub(super) struct Admitted<S> {
    inner: S,
    gates: Arc<Gates>,
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<S> Service<Request<Body>> for Admitted<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        // The service that was made ready is the one to call.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let gates = Arc::clone(&self.gates);
        Box::pin(async move {
            let (gate, time) = match gates.gate_for(&request) {
                Ok(gate) => gate,
                Err(status) => return Ok(status.into_http()),
            };
            let turn = match gate {
                None => None,
                Some(gate) => match gates.turn(gate).await {
                    Ok(turn) => Some(turn),
                    Err(status) => return Ok(status.into_http()),
                },
            };
            let answer = match time {
                None => inner.call(request).await,
                Some(time) => tokio::time::timeout(time, inner.call(request)).await.unwrap_or_else(|_| {
                    let seconds = time.as_secs();
                    let text = format!("the call took longer than {seconds} s and was given up: try again");
                    Ok(Status::deadline_exceeded(text).into_http())
                }),
            };
            drop(turn);
            answer
        })
    }
}

impl Gates {
    /// Which bound a call falls under and how long it may take.
    fn gate_for(&self, request: &Request<Body>) -> Result<(Option<&Semaphore>, Option<Duration>), Status> {
        let path = request.uri().path();
        match request.extensions().get::<Peer>() {
            Some(Peer::Local) => Ok((None, None)),
            Some(_) if path == ENROLL => Ok((Some(&self.enrolling), Some(ENROLL_TIME))),
            Some(Peer::Certificate { .. }) if path == CHECK_IN => Ok((None, Some(CHECK_IN_TIME))),
            Some(Peer::Certificate { .. }) => Ok((Some(&self.working), Some(WORK_TIME))),
            Some(Peer::NoCertificate) | None => Err(Reason::NoCertificate.refuse(
                "this call needs a client certificate: enrol first (`holdpoint-agent enroll` on a host, `holdpoint enroll` as an operator)",
            )),
        }
    }

    async fn turn<'a>(&self, gate: &'a Semaphore) -> Result<tokio::sync::SemaphorePermit<'a>, Status> {
        if let Ok(turn) = gate.try_acquire() {
            return Ok(turn);
        }
        let shed = || {
            self.counters.shed_calls.fetch_add(1, Ordering::Relaxed);
            Status::unavailable("the collector is busy: try again in some seconds")
        };
        let place = Waiting::take(&self.waiting).ok_or_else(shed)?;
        let turn = tokio::time::timeout(WAIT, gate.acquire()).await;
        drop(place);
        turn.ok().and_then(Result::ok).ok_or_else(shed)
    }
}

/// A place among the calls that wait; given back when dropped, also by a caller that went away.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn take(count: &'a AtomicUsize) -> Option<Self> {
        let place = Self(count);
        // On refusal the place is dropped, which takes it back.
        (count.fetch_add(1, Ordering::Relaxed) < WAITING).then_some(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::codegen::http;

    fn request(path: &str, peer: Option<Peer>) -> Request<Body> {
        let mut request = http::Request::builder().uri(path).body(Body::empty()).unwrap();
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        request
    }

    fn certified() -> Peer {
        let zone = holdpoint_common::identity::ZoneName {
            site: "plant".parse().unwrap(),
            zone: "line-1".parse().unwrap(),
        };
        let digest = holdpoint_common::section::Digest::of(b"");
        let identity = zone.agent("hmi".parse().unwrap());
        let (not_before_ms, not_after_ms) = (0, 1);
        Peer::Certificate { identity, fingerprint: digest, issuer: digest, not_before_ms, not_after_ms }
    }

    /// Calls a service whose calls never end; `None` when the call is still on its way.
    async fn call(admission: &Admission, request: Request<Body>) -> Option<Status> {
        let never = tower::service_fn(|_| std::future::pending::<Result<Response<Body>, Infallible>>());
        let answer = admission.layer(never).call(request);
        let answer = tokio::time::timeout(Duration::from_millis(50), answer).await.ok()?;
        Status::from_header_map(answer.unwrap().headers())
    }

    #[tokio::test]
    async fn strangers_reach_enrolment_and_nothing_else() {
        let admission = Admission::new(Arc::default());
        for peer in [Some(Peer::NoCertificate), None] {
            for path in [CHECK_IN, "/holdpoint.v1.Admin/Revoke", "/grpc.health.v1.Health/Check", "/", "//x"] {
                let refused = call(&admission, request(path, peer.clone())).await.unwrap();
                assert_eq!(Reason::of(&refused), Some(Reason::NoCertificate), "{path}");
            }
        }
        assert!(call(&admission, request(ENROLL, Some(Peer::NoCertificate))).await.is_none());
        let near = format!("{ENROLL}/");
        assert!(call(&admission, request(&near, Some(Peer::NoCertificate))).await.is_some());
    }

    #[tokio::test]
    async fn a_full_collector_sheds_work_but_neither_check_ins_nor_its_own_account() {
        let counters = Arc::new(Counters::default());
        let admission = Admission::new(Arc::clone(&counters));
        let gates = Arc::clone(&admission.0);
        let _all = gates.working.acquire_many(u32::try_from(WORKING).unwrap()).await.unwrap();
        gates.waiting.store(WAITING, Ordering::Relaxed);

        let report = "/holdpoint.v1.AgentLink/Report";
        let shed = call(&admission, request(report, Some(certified()))).await.unwrap();
        assert_eq!(shed.code(), tonic::Code::Unavailable);
        assert_eq!(counters.shed_calls(), 1);
        assert_eq!(gates.waiting.load(Ordering::Relaxed), WAITING, "a place is given back");

        assert!(call(&admission, request(CHECK_IN, Some(certified()))).await.is_none());
        assert!(call(&admission, request(report, Some(Peer::Local))).await.is_none());
    }
}
