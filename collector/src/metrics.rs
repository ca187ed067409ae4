//! What a collector counts, and the loopback endpoint that Prometheus scrapes.
//!
//! The endpoint has no authentication, so it binds to loopback alone, says nothing about single
//! assets, and answers one path with one text (OpenMetrics).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use holdpoint_common::refusal::Reason;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tonic::Status;
use tracing::debug;

/// Most scrapes at once; more wait in the accept queue.
const MAX_SCRAPES: usize = 4;
/// Longest time that a client may take to send its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The media type of OpenMetrics 1.0.
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// One label: what happened to a report, or why a call was refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Label {
    /// The value, from a closed list.
    pub kind: &'static str,
}

/// The collector's counters. Cheap to clone: every clone counts into the same numbers.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Check-ins answered.
    pub check_ins: Counter,
    /// Reports by outcome: "stored", "refused", "full-disk".
    pub reports: Family<Label, Counter>,
    /// Refused calls by reason code.
    pub refusals: Family<Label, Counter>,
    /// Time from the last part of a report to its durable acknowledgement, seconds.
    pub report_seconds: Histogram,
    /// Assets by freshness.
    pub assets: Family<Label, Gauge>,
    /// Open connections of agents and operators.
    pub connections: Gauge,
    /// Bytes of the store on disk.
    pub store_bytes: Gauge,
    /// Whether the store refuses reports because the disk is nearly full.
    pub store_refusing: Gauge,
    registry: Arc<Registry>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Makes all counters, at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("holdpoint");
        let check_ins = Counter::default();
        let reports = Family::<Label, Counter>::default();
        let refusals = Family::<Label, Counter>::default();
        // 1 ms to 16 s: a flush on an idle disk to one on a failing disk.
        let report_seconds = Histogram::new(exponential_buckets(0.001, 2.0, 15));
        let assets = Family::<Label, Gauge>::default();
        let connections = Gauge::default();
        let store_bytes = Gauge::default();
        let store_refusing = Gauge::default();
        registry.register("check_ins", "Check-ins answered", check_ins.clone());
        registry.register("reports", "Reports by outcome", reports.clone());
        registry.register("refusals", "Refused calls by reason", refusals.clone());
        registry.register_with_unit(
            "report",
            "Time to a durable acknowledgement",
            Unit::Seconds,
            report_seconds.clone(),
        );
        registry.register("assets", "Assets by freshness", assets.clone());
        registry.register("connections", "Open connections", connections.clone());
        registry.register_with_unit("store", "Size of the store on disk", Unit::Bytes, store_bytes.clone());
        registry.register(
            "store_refusing_reports",
            "1 while the disk is nearly full",
            store_refusing.clone(),
        );
        Self {
            check_ins,
            reports,
            refusals,
            report_seconds,
            assets,
            connections,
            store_bytes,
            store_refusing,
            registry: Arc::new(registry),
        }
    }

    /// Counts a refused call by its reason; a failure without one is no refusal.
    pub fn refused(&self, status: &Status) {
        if let Some(reason) = Reason::of(status) {
            self.refusals.get_or_create(&Label { kind: reason.code() }).inc();
        }
    }

    /// The text that a scrape gets.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string cannot fail; an empty answer would only show as a failed scrape.
        if prometheus_client::encoding::text::encode(&mut text, &self.registry).is_err() {
            text.clear();
        }
        text
    }
}

/// Binds the endpoint.
///
/// # Errors
/// The address is taken.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Answers scrapes until `shutdown` ends. `refresh` runs before each one.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    refresh: impl Fn() + Clone + Send + Sync + 'static,
    shutdown: impl Future<Output = ()>,
) {
    let scrapes = Arc::new(Semaphore::new(MAX_SCRAPES));
    let accept = async {
        loop {
            let Ok(permit) = scrapes.clone().acquire_owned().await else { return };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(cause) => {
                    debug!(error = &cause as &dyn std::error::Error, "metrics connection not accepted");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            };
            let (metrics, refresh) = (metrics.clone(), refresh.clone());
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    refresh();
                    let response = answer(&request, &metrics);
                    async move { Ok::<_, std::convert::Infallible>(response) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(REQUEST_TIMEOUT)
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), service);
                // A scraper that went away is its own affair.
                let _ = connection.await;
                drop(permit);
            });
        }
    };
    tokio::select! {
        () = accept => {}
        () = shutdown => {}
    }
}

fn answer<B>(request: &Request<B>, metrics: &Metrics) -> Response<Full<Bytes>> {
    if request.method() != Method::GET || request.uri().path() != "/metrics" {
        let mut response = Response::new(Full::new(Bytes::from_static(b"the only page is /metrics\n")));
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    }
    let mut response = Response::new(Full::new(Bytes::from(metrics.text())));
    response.headers_mut().insert(CONTENT_TYPE, OPEN_METRICS);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn a_scrape_reads_what_was_counted() {
        let metrics = Metrics::new();
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let refreshed = metrics.clone();
        let server = tokio::spawn(serve(
            listener,
            metrics.clone(),
            move || {
                refreshed.store_bytes.set(42);
            },
            std::future::pending(),
        ));
        metrics.reports.get_or_create(&Label { kind: "stored" }).inc();

        let text = get(address, "/metrics").await;
        assert!(text.contains("holdpoint_reports_total{kind=\"stored\"} 1"), "{text}");
        assert!(text.contains("holdpoint_store_bytes 42"), "{text}");
        assert!(get(address, "/").await.starts_with("HTTP/1.1 404"));
        server.abort();
    }
}
