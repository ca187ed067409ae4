//! A service's life: it waits, carries out what an installer ordered, and is an agent from then on.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use holdpoint_agent::service::live::serve;
use holdpoint_agent::service::order;
use holdpoint_common::refusal::Reason;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Plant;

/// A service that runs until it is told to stop.
struct Service {
    stop: oneshot::Sender<()>,
    ended: JoinHandle<bool>,
    state: PathBuf,
}

impl Service {
    fn start(plant: &Plant) -> Self {
        let state = plant.dir.path().join("state");
        fs::create_dir_all(&state).unwrap();
        let (stop, stopped) = oneshot::channel();
        let (host, dir) = (plant.host(), state.clone());
        let ended = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            serve(&dir, host, stopped).await.is_ok()
        });
        Self { stop, ended, state }
    }

    fn order(&self, plant: &Plant) {
        let token = plant.collector.token.reveal();
        order::place(&self.state, &plant.collector.address, &token).unwrap();
    }

    /// Stops it; how long that took.
    async fn stop(self) -> Duration {
        let asked = Instant::now();
        self.stop.send(()).unwrap();
        assert!(self.ended.await.unwrap(), "it ends without an error");
        asked.elapsed()
    }
}

#[tokio::test]
async fn what_an_installer_ordered_is_carried_out_once_and_its_token_is_gone() {
    let plant = Plant::start().await;
    let service = Service::start(&plant);
    service.order(&plant);
    plant.collector.until("the host reports", |it| !it.reports.is_empty()).await;
    assert!(!service.state.join(order::FILE).exists(), "a token is not left on disk");
    let settings = fs::read_to_string(service.state.join("agent.toml")).unwrap();
    assert!(settings.contains(&plant.collector.address));
    assert!(service.stop().await < Duration::from_secs(5));
}

#[tokio::test]
async fn an_order_of_an_upgrade_does_not_enrol_again() {
    let plant = Plant::start().await;
    plant.enrol().await;
    let service = Service::start(&plant);
    let key = fs::read(service.state.join("key.pem")).unwrap();
    service.order(&plant);
    plant.collector.until("the host reports", |it| !it.reports.is_empty()).await;
    assert_eq!(fs::read(service.state.join("key.pem")).unwrap(), key, "the identity is the same");
    assert!(!service.state.join(order::FILE).exists());
    service.stop().await;
}

#[tokio::test]
async fn a_token_that_is_refused_is_deleted_and_the_host_waits_for_a_person() {
    let plant = Plant::start().await;
    plant.collector.memory().refuse = Some((Reason::Token, "the token is used up"));
    let service = Service::start(&plant);
    service.order(&plant);
    for _ in 0..200 {
        if !service.state.join(order::FILE).exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!service.state.join(order::FILE).exists());
    assert!(!service.state.join("key.pem").exists());

    // A person enrols it, beside the service that waits.
    plant.collector.memory().refuse = None;
    plant.enrol().await;
    plant.collector.until("the host reports", |it| !it.reports.is_empty()).await;
    service.stop().await;
}

#[tokio::test]
async fn a_host_that_is_not_to_be_looked_at_is_not_enrolled_either() {
    let plant = Plant::start().await;
    let service = Service::start(&plant);
    fs::write(service.state.join("kill"), "").unwrap();
    service.order(&plant);
    // That nothing happens can only be waited for: longer than the service takes to look again.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(service.state.join(order::FILE).exists() && !service.state.join("key.pem").exists());
    fs::remove_file(service.state.join("kill")).unwrap();
    plant.collector.until("the host reports", |it| !it.reports.is_empty()).await;
    service.stop().await;
}

#[tokio::test]
async fn a_service_that_waits_for_an_identity_stops_at_once() {
    let plant = Plant::start().await;
    let service = Service::start(&plant);
    assert!(service.stop().await < Duration::from_secs(1));
}
