//! A whole agent against a collector in memory, over real TLS.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod fake;
mod service;

use std::fs;
use std::time::{Duration, Instant};

use fake::{Fake, Taken, install};
use holdpoint_agent::host::{Agent, Host};
use holdpoint_agent::{RunError, Settings, enroll, run, run_once};
use holdpoint_common::chain::Chain;
use holdpoint_common::proto::v1::SectionBody;
use holdpoint_common::refusal::Reason;
use holdpoint_common::row::{REPORTED, SectionKind};
use holdpoint_common::section::Digest;
use holdpoint_common::token::Token;
use tempfile::TempDir;

struct Plant {
    dir: TempDir,
    collector: Fake,
    packages: Vec<String>,
}

impl Plant {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root/etc");
        fs::create_dir_all(&root).unwrap();
        fs::write(root.join("os-release"), "ID=debian\nNAME=Debian\nVERSION_ID=12\n").unwrap();
        fs::write(root.join("hostname"), "hmi-01\n").unwrap();
        let packages = (0..300_u32).map(|it| format!("package-{}", Digest::of(&it.to_be_bytes()))).collect();
        let mut plant = Self { dir, collector: Fake::start().await, packages };
        plant.install("first");
        plant
    }

    fn install(&mut self, package: &str) {
        self.packages.push(package.to_owned());
        install(&self.dir.path().join("root"), &self.packages);
    }

    fn host(&self) -> Host {
        let agent = Agent { version: "0.0.0-test".into(), digest: None, config_digest: None };
        Host::captured(self.dir.path().join("root"), agent)
    }

    fn settings(&self) -> Settings {
        Settings {
            first_contact_spread: Duration::ZERO,
            max_hold: Duration::ZERO,
            ..Settings::load(&self.dir.path().join("state")).unwrap()
        }
    }

    async fn enrol(&self) {
        let state = self.dir.path().join("state");
        let identity =
            enroll(&state, &self.collector.address, &self.collector.token, &self.host()).await.unwrap();
        assert_eq!(identity.to_string(), "spiffe://plant/zone/line-1/agent/hmi-01");
    }

    async fn report_once(&self) {
        run_once(self.settings(), self.host()).await.unwrap();
    }

    fn form(&self, report: usize, kind: SectionKind) -> Option<SectionBody> {
        self.collector.memory().reports[report].forms.get(&kind.into()).copied()
    }
}

#[tokio::test]
async fn only_what_changed_travels() {
    let mut plant = Plant::start().await;
    plant.enrol().await;

    plant.report_once().await;
    assert_eq!(plant.collector.memory().sections.len(), REPORTED.len());
    assert_eq!(plant.form(0, SectionKind::Software), Some(SectionBody::Full));

    plant.report_once().await;
    assert_eq!(plant.collector.memory().reports.len(), 1, "nothing changed, nothing travels");

    plant.install("second");
    plant.report_once().await;
    assert_eq!(plant.form(1, SectionKind::Software), Some(SectionBody::Delta));
    assert_eq!(plant.form(1, SectionKind::Platform), None);
    let software = plant.collector.memory().sections[&SectionKind::Software.into()].len();
    assert_eq!(software, plant.packages.len());
    let sequences: Vec<u64> = plant.collector.memory().reports.iter().map(|it| it.sequence).collect();
    assert_eq!(sequences, [1, 2]);
}

#[tokio::test]
async fn a_collector_that_lost_the_base_gets_every_row_at_once() {
    let mut plant = Plant::start().await;
    plant.enrol().await;
    plant.report_once().await;
    plant.collector.memory().forgets_bases = true;
    plant.install("second");
    plant.report_once().await;
    assert_eq!(plant.form(1, SectionKind::Software), Some(SectionBody::Delta));
    assert_eq!(plant.form(2, SectionKind::Software), Some(SectionBody::Full));
    let software = plant.collector.memory().sections[&SectionKind::Software.into()].len();
    assert_eq!(software, plant.packages.len());
}

#[tokio::test]
async fn a_sequence_below_the_collectors_is_raised() {
    let plant = Plant::start().await;
    plant.enrol().await;
    plant.collector.memory().sequence_floor = 41;
    plant.report_once().await;
    assert_eq!(plant.collector.memory().reports[0].sequence, 42);
}

#[tokio::test]
async fn a_challenge_is_answered_by_a_new_scan_that_names_every_section() {
    let mut plant = Plant::start().await;
    plant.enrol().await;
    plant.report_once().await;
    plant.install("since the last scan");
    let nonce = vec![7; 16];
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let agent = tokio::spawn(run(plant.settings(), plant.host(), async {
        let _ = stopped.await;
    }));
    plant.collector.until("the agent calls", |it| it.check_ins.len() > 1).await;
    plant.collector.memory().challenges = vec![nonce.clone()];
    plant.collector.until("the challenge is answered", |it| it.challenges.is_empty()).await;
    {
        let memory = plant.collector.memory();
        let Taken { sequence: _, nonces, forms } = memory.reports.last().unwrap();
        assert_eq!(nonces, &[nonce]);
        assert_eq!(forms.len(), REPORTED.len());
        assert_eq!(forms[&SectionKind::Platform.into()], SectionBody::Reference);
    }
    stop.send(()).unwrap();
    agent.await.unwrap().unwrap();
}

/// Runs an agent until the collector has heard what a test waits for.
fn serve(plant: &Plant, settings: Settings) -> tokio::task::JoinHandle<Result<(), RunError>> {
    tokio::spawn(run(settings, plant.host(), std::future::pending()))
}

#[tokio::test]
async fn a_challenge_is_declined_while_a_person_says_stop_and_answered_afterwards() {
    let plant = Plant::start().await;
    plant.enrol().await;
    let kill = plant.dir.path().join("state/kill");
    fs::write(&kill, "").unwrap();
    let nonce = vec![7; 16];
    plant.collector.memory().challenges = vec![nonce.clone()];
    let agent = serve(&plant, plant.settings());
    plant
        .collector
        .until("the challenge is declined", |it| it.check_ins.iter().any(|it| !it.declined.is_empty()))
        .await;
    {
        let memory = plant.collector.memory();
        let said = memory.check_ins.last().unwrap();
        assert_eq!((said.declined[0].nonce.clone(), said.declined[0].reason.as_str()), (nonce, "kill-file"));
        assert_eq!(said.declined[0].until_ms, None, "nobody can say");
        assert_eq!(said.fingerprint.len(), 32);
        assert_eq!(memory.check_ins[0].fingerprint, said.fingerprint, "it says which machine it is");
        assert!(said.held.is_empty() && memory.reports.is_empty(), "no look, no report");
    }
    let calls = plant.collector.memory().check_ins.len();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let more = plant.collector.memory().check_ins.len() - calls;
    assert!(more >= 1, "check-ins go on");
    assert!(more <= 12, "every 300 ms, as the collector says, although it asks again: {more}");
    assert!(plant.collector.memory().reports.is_empty());

    fs::remove_file(&kill).unwrap();
    let lifted = Instant::now();
    plant.collector.until("the challenge is answered", |it| it.challenges.is_empty()).await;
    assert!(lifted.elapsed() < Duration::from_secs(10), "by itself and soon: {:?}", lifted.elapsed());
    {
        let memory = plant.collector.memory();
        assert!(memory.check_ins.last().unwrap().declined.is_empty());
        assert_eq!(memory.reports.last().unwrap().forms.len(), REPORTED.len());
    }
    agent.abort();
}

#[tokio::test]
async fn quiet_hours_say_when_they_end() {
    let plant = Plant::start().await;
    plant.enrol().await;
    plant.report_once().await;
    let reports = plant.collector.memory().reports.len();
    let always = |hours: &[&str]| {
        let hours: Vec<String> = hours.iter().map(|it| (*it).to_owned()).collect();
        Settings { quiet_hours: hours.try_into().unwrap(), ..plant.settings() }
    };
    for (hours, ends) in [(["00:00-24:00"].as_slice(), false), (&today_and_tomorrow(), true)] {
        plant.collector.memory().check_ins.clear();
        plant.collector.memory().challenges = vec![vec![9; 16]];
        let agent = serve(&plant, always(hours));
        plant
            .collector
            .until("it is declined", |it| it.check_ins.iter().any(|it| !it.declined.is_empty()))
            .await;
        {
            let memory = plant.collector.memory();
            let declined = &memory.check_ins.last().unwrap().declined[0];
            assert_eq!(declined.reason, "quiet-hours");
            let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
            let left = declined.until_ms.map(|it| it - now);
            assert_eq!(left.is_some(), ends, "{hours:?}");
            assert!(left.is_none_or(|it| it > 0 && it <= 5 * 24 * 3_600 * 1_000), "{left:?}");
            assert_eq!(memory.reports.len(), reports);
        }
        agent.abort();
        // Its directory is free when it is gone.
        let _ = agent.await;
    }
    let error = run_once(always(&["00:00-24:00"]), plant.host()).await.unwrap_err();
    assert!(matches!(error, RunError::Held { .. }), "{error:?}");
    assert!(error.to_string().contains("quiet hours"), "{error}");
}

/// Windows that cover now wherever the clock stands, and end: all days but the one before yesterday.
fn today_and_tomorrow() -> [&'static str; 1] {
    const BUT_THREE_DAYS_AGO: [&str; 7] = [
        "Tue-Sun 00:00-24:00",
        "Wed-Mon 00:00-24:00",
        "Thu-Tue 00:00-24:00",
        "Fri-Wed 00:00-24:00",
        "Sat-Thu 00:00-24:00",
        "Sun-Fri 00:00-24:00",
        "Mon-Sat 00:00-24:00",
    ];
    // 1970-01-01 was a Thursday; a zone moves the day by one at most.
    let days = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() / (24 * 3_600);
    [BUT_THREE_DAYS_AGO[usize::try_from(days % 7).unwrap()]]
}

#[tokio::test]
async fn a_kill_file_stops_a_scan_that_runs_and_nothing_of_it_is_told() {
    let mut plant = Plant::start().await;
    plant.enrol().await;
    // Large enough to be looked at for longer than a second in a test's build.
    plant.packages = (0..60_000_u32).map(|it| format!("package-number-{it}")).collect();
    plant.install("last");
    let kill = plant.dir.path().join("state/kill");
    let agent = serve(&plant, plant.settings());
    tokio::time::sleep(Duration::from_millis(200)).await;
    fs::write(&kill, "").unwrap();
    plant.collector.until("the agent calls", |it| !it.check_ins.is_empty()).await;
    if plant.collector.memory().check_ins[0].held.is_empty() {
        assert!(plant.collector.memory().reports.is_empty(), "nothing partial is told");
        fs::remove_file(&kill).unwrap();
    } else {
        println!("left out: this machine had looked before the file was seen");
    }
    plant.collector.until("the look is made up for", |it| !it.reports.is_empty()).await;
    let software = plant.collector.memory().sections[&SectionKind::Software.into()].len();
    assert_eq!(software, plant.packages.len());
    agent.abort();
}

#[tokio::test]
async fn what_changed_while_the_collector_was_away_is_told_afterwards() {
    let mut plant = Plant::start().await;
    plant.enrol().await;
    plant.report_once().await;
    plant.collector.memory().away = true;
    let settings = Settings { scan_interval: Duration::from_millis(100), ..plant.settings() };
    let agent = tokio::spawn(run(settings, plant.host(), std::future::pending()));
    let journal = plant.dir.path().join("state/journal");
    // The agent has to see the host as it was before it can see a change.
    tokio::time::sleep(Duration::from_millis(500)).await;
    plant.install("while away");
    for _ in 0..400 {
        if journal.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    plant.collector.memory().away = false;
    plant.collector.until("the journal arrives", |it| !it.journal.is_empty()).await;
    {
        let memory = plant.collector.memory();
        let entry = &memory.journal[0];
        assert_eq!((entry.kind(), entry.added, entry.removed), (SectionKind::Software, 1, 0));
        assert_eq!(memory.sections[&SectionKind::Software.into()].len(), plant.packages.len());
    }
    let told = plant.collector.memory().journal.len();
    let calls = plant.collector.memory().check_ins.len();
    plant.collector.until("the agent calls again", |it| it.check_ins.len() > calls + 1).await;
    assert_eq!(plant.collector.memory().journal.len(), told, "once");
    agent.abort();
}

#[tokio::test]
async fn the_agent_renews_when_asked_and_goes_on() {
    let plant = Plant::start().await;
    plant.enrol().await;
    plant.collector.memory().asks_renewal = true;
    let before = fs::read(plant.dir.path().join("state/key.pem")).unwrap();
    plant.report_once().await;
    assert_eq!(plant.collector.memory().renewals, 1);
    assert_ne!(fs::read(plant.dir.path().join("state/key.pem")).unwrap(), before);
    assert_eq!(plant.collector.memory().sections.len(), REPORTED.len());
}

#[tokio::test]
async fn a_refusal_says_what_to_do_and_does_not_end_the_agent() {
    let plant = Plant::start().await;
    plant.enrol().await;
    plant.collector.memory().refuse = Some((Reason::Revoked, "ask for a new token"));
    let error = run_once(plant.settings(), plant.host()).await.unwrap_err();
    let RunError::Link(link) = &error else { panic!("{error:?}") };
    assert_eq!(link.refusal(), Some(Reason::Revoked));
    assert!(Chain(&error).to_string().contains("ask for a new token"), "{}", Chain(&error));
    let agent = run(plant.settings(), plant.host(), std::future::pending());
    assert!(tokio::time::timeout(Duration::from_secs(1), agent).await.is_err(), "it goes on");
}

#[tokio::test]
async fn a_token_of_another_collector_gives_no_identity() {
    let plant = Plant::start().await;
    let token = Token { pin: Digest::of(b"another zone CA"), ..plant.collector.token.clone() };
    let state = plant.dir.path().join("state");
    let error = enroll(&state, &plant.collector.address, &token, &plant.host()).await.unwrap_err();
    assert!(Chain(&error).to_string().contains("pins"), "{}", Chain(&error));
    assert!(!state.join("key.pem").exists());
    assert!(Settings::load(&state).is_err());
}

#[tokio::test]
async fn the_state_is_the_owners_alone_and_small() {
    use std::os::unix::fs::PermissionsExt;
    let plant = Plant::start().await;
    plant.enrol().await;
    plant.report_once().await;
    let state = plant.dir.path().join("state");
    let mode = |it: &std::path::Path| fs::metadata(it).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    assert_eq!(mode(&state.join("key.pem")), 0o600);
    assert_eq!(fs::read_to_string(state.join("sequence")).unwrap(), "1");
}
