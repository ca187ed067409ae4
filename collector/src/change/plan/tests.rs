use proptest::prelude::*;

use super::*;

const SAMPLE: &str = include_str!("../../../../deploy/config/change/plan.toml");

/// As little as a plan can say.
const SMALL: &str = "\
title = \"OpenSSL\"
[[expectation]]
id = \"ssl\"
advisory = \"DSA-5532-1\"
[[stage]]
title = \"Stations\"
tier = \"hmi\"
assets = [\"hmi-01\"]
";

/// Faults of the small plan with something behind it that stands at its top.
fn faults_with(more: &str) -> Vec<String> {
    read(&format!("{SMALL}{more}")).expect_err("it should be refused")
}

#[test]
fn the_sample_is_a_whole_plan() {
    let plan = read(SAMPLE).unwrap();
    assert_eq!(plan.missing(), Vec::<&str>::new());
    assert_eq!((plan.stages.len(), plan.expectations.len(), plan.tests.len()), (3, 8, 1));
    let window = plan.window.unwrap();
    // 06:00 with an offset of one hour.
    assert_eq!(window.start_ms, 1_804_136_400_000);
    assert!(window.start_ms < window.latest_rollback_ms && window.hard_stop_ms < window.end_ms);
    assert_eq!(plan.stages[0].expectations, [0, 1, 7], "by position");
    assert_eq!(plan.stages[1].expectations.len(), 8, "all, when the stage does not say");
    let points: Vec<bool> = plan.stages[1].points.iter().map(|it| it.holds).collect();
    assert_eq!(points, [true, false]);
    assert_eq!(plan.subjects().into_iter().collect::<Vec<_>>(), ["DSA-5532-1"]);
    assert!(matches!(&plan.expectations[0].wanted, Wanted::AtLeast(it) if it.id == "openssl"));
    assert!(matches!(plan.expectations[5].wanted, Wanted::Listener { port: 4_999, open: true, .. }));
    let limits: Vec<String> = plan.tests[0].steps.iter().map(|it| it.limits.to_string()).collect();
    assert_eq!(limits, ["at most 5 s", "`unacknowledged`", "pass or fail"]);
}

#[test]
fn every_key_of_the_sample_that_is_misspelt_is_told() {
    let mut keys = 0;
    for (number, line) in SAMPLE.lines().enumerate() {
        let Some((key, _)) = line.split_once(" = ").filter(|it| !it.0.starts_with(['#', '"'])) else {
            continue;
        };
        keys += 1;
        let wrong = SAMPLE.lines().enumerate().map(|(at, line)| {
            let line = if at == number { line.replacen(key, &format!("{key}_"), 1) } else { line.to_owned() };
            line + "\n"
        });
        let faults = read(&wrong.collect::<String>()).expect_err(line);
        assert!(faults.iter().any(|it| it.contains(key)), "{line}: {faults:?}");
    }
    assert!(keys > 50, "{keys} keys were found");
}

#[test]
fn what_is_left_out_has_its_default_and_is_missing_for_the_board() {
    let plan = read(SMALL).unwrap();
    assert_eq!((plan.soak_days, plan.backup_max_age_days, plan.answer_within_min), (35, 7, 30));
    assert_eq!(plan.missing().len(), 12);
}

#[test]
fn every_fault_is_told_at_once_with_its_key() {
    let text = "\
soak_days = 0
titel = \"x\"
[window]
start = 2027-03-04T08:00:00Z
latest_rollback = 2027-03-04T07:00:00Z
hard_stop = \"2027-03-04 06:00\"
[package]
sha256 = \"abc\"
[[expectation]]
id = \"a\"
fact = \"no operator\"
[[expectation]]
id = \"a\"
restarted = true
absent = \"x\"
[[stage]]
title = \"Stations\"
tier = \"operators\"
expect = [\"b\"]
";
    let faults = read(text).unwrap_err();
    let places: Vec<&str> = faults.iter().map(|it| it.split(": ").next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "title",
            "soak_days",
            "window.hard_stop",
            "window.end",
            "package.sha256",
            "expectation[1].fact",
            "expectation[2].id",
            "expectation[2]",
            "stage[1].tier",
            "stage[1]",
            "stage[1].expect",
            "titel",
        ],
        "{faults:#?}"
    );
}

#[test]
fn each_fault_is_found() {
    let table: &[(&str, &str)] = &[
        // What is expected.
        ("[[expectation]]\nid = \"x\"", "expectation[2]: it expects nothing"),
        ("[[expectation]]\nrestarted = true", "expectation[2].id: it is missing"),
        ("[[expectation]]\nid = \"a b\"\nrestarted = true", "expectation[2].id: it is not 1 to 64"),
        ("[[expectation]]\nid = \"x\"\nrestarted = false", "expectation[2].restarted: only `true`"),
        ("[[expectation]]\nid = \"x\"\nadvisory = \"A//B\"", "expectation[2].advisory: `A//B` has an empty"),
        ("[[expectation]]\nid = \"x\"\nadvisory = \"A\"\ncontrol = \"y\"", "expectation[2].control: write a"),
        ("[[expectation]]\nid = \"x\"\nfact = \"a=1\"\ncontrol = \"y=1\"", "expectation[2].control: the key"),
        ("[[expectation]]\nid = \"x\"\nabsent = \"*\"", "expectation[2].absent: the name has to begin"),
        ("[[expectation]]\nid = \"x\"\nlistener_open = \"443\"", "expectation[2].listener_open: `443` is no"),
        ("[[expectation]]\nid = \"x\"\nlistener_open = \"tcp/0\"", "expectation[2].listener_open: `tcp/0`"),
        ("[[expectation]]\nid = \"x\"\nlistener_closed = \"tcp/+80\"", "expectation[2].listener_closed: "),
        ("[[expectation]]\nid = \"x\"\nat_least = 5", "expectation[2].at_least: it has the type integer"),
        (
            "[[expectation]]\nid = \"x\"\nat_least = { product = \"a\", min_version = \"1\" }",
            "expectation[2].at_least: `scheme` is missing",
        ),
        (
            "[[expectation]]\nid = \"x\"\nat_least = { product = \"a\", role = \"hmi\" }",
            "expectation[2].at_least: `role` is not a known key",
        ),
        // Stages.
        ("[[stage]]\ntitle = \"x\"\ntier = \"hmi\"", "stage[2]: it names no asset"),
        ("[[stage]]\ntitle = \"x\"\nassets = [\"a\"]", "stage[2].tier: it is missing"),
        (
            "[[stage]]\ntitle = \"x\"\ntier = \"hmi\"\nassets = \"a\"",
            "stage[2].assets: it has the type string",
        ),
        (
            "[[stage]]\ntitle = \"x\"\ntier = \"hmi\"\nassets = [\"a\", \"a\"]",
            "stage[2].assets: `a` is there",
        ),
        ("[[stage]]\ntitle = \"x\"\ntier = \"hmi\"\nassets = [\"a\"]\nexpect = []", "stage[2].expect: it is"),
        (
            "[[stage]]\ntitle = \"x\"\ntier = \"hmi\"\nassets = [\"a\"]\nhold_points = [\"p\"]\n\
             witness_points = [\"p\"]",
            "stage[2].witness_points: `p` is a hold point as well",
        ),
        // What may move.
        ("[[allow]]\nsection = \"devices\"\nitem = \"a\"", "allow[1].section: `devices` is no section"),
        ("[[allow]]\nsection = \"software\"\nitem = \"**\"", "allow[1].item: it would allow everything"),
        ("[[allow]]\nsection = \"software\"", "allow[1].item: it is missing"),
        // Tests.
        ("[[test]]\nid = \"x\"\ntitle = \"t\"\nmay_sign = [\"operations\"]", "test[1].step: there is no"),
        ("[[test]]\nid = \"x\"\ntitle = \"t\"\nmay_sign = [\"me\"]", "test[1].may_sign: `me` is no role"),
        ("[[test]]\nid = \"x\"\ntitle = \"t\"", "test[1].may_sign: it names no role"),
        ("[[test]]\n[[test.step]]\nid = \"1\"\ntext = \"t\"\nmax = 1", "test[1].step[1].unit: it is missing"),
        ("[[test]]\n[[test.step]]\nmin = 2\nmax = 1\nunit = \"s\"", "test[1].step[1].max: it is less"),
        ("[[test]]\n[[test.step]]\nmin = nan\nunit = \"s\"", "test[1].step[1].min: it is no number"),
        (
            "[[test]]\n[[test.step]]\nmin = 1\nunit = \"s\"\nequals = \"x\"",
            "test[1].step[1]: it has `equals`",
        ),
        ("[[test]]\n[[test.step]]\nid = \"1\"\n[[test.step]]\nid = \"1\"", "test[1].step[2].id: `1` is the"),
        ("[[test]]\nid = \"x\"\n[[test]]\nid = \"x\"", "test[2].id: `x` is the id of another test"),
        // Tables beside them.
        ("[backup]\ntaken = 2027-03-03", "backup.taken: `2027-03-03` is no time"),
        ("[backup]\ntaken = 2027-03-03T10:00:00", "backup.taken: `2027-03-03T10:00:00` is no time"),
        ("[rollback]\nprocedure = \"\"", "rollback.procedure: it is not a text"),
        ("[safety_review]\nby = \"a\\nb\"", "safety_review.by: it is not one line"),
        ("[colours]\nred = 1", "colours: the key is not known"),
    ];
    for (more, fault) in table {
        let faults = faults_with(more);
        assert!(faults.iter().any(|it| it.starts_with(fault)), "{more}: {faults:#?}");
    }
}

#[test]
fn a_window_is_in_order() {
    let window = |times: [u8; 4]| {
        let [start, rollback, stop, end] = times.map(|it| format!("2027-03-04T{it:02}:00:00Z"));
        read(&format!(
            "{SMALL}[window]\nstart = {start}\nlatest_rollback = \"{rollback}\"\nhard_stop = {stop}\nend = {end}\n"
        ))
    };
    for good in [[6, 8, 9, 10], [6, 9, 9, 9]] {
        assert!(window(good).is_ok(), "{good:?}");
    }
    for (bad, key) in
        [([6, 6, 9, 10], "latest_rollback"), ([6, 9, 8, 10], "hard_stop"), ([6, 8, 10, 9], "end")]
    {
        let faults = window(bad).expect_err(key);
        assert!(faults[0].starts_with(&format!("window.{key}: ")), "{faults:?}");
    }
}

#[test]
fn text_that_is_no_toml_has_one_fault_with_its_line() {
    let faults = read("title = \"a\"\nreason = \n").unwrap_err();
    assert!(matches!(faults.as_slice(), [one] if one.starts_with("line 2: ")), "{faults:?}");
    let doubled = read("title = \"a\"\ntitle = \"b\"\n").unwrap_err();
    assert!(matches!(doubled.as_slice(), [one] if one.starts_with("line 2: ")), "{doubled:?}");
}

#[test]
fn nothing_is_read_beyond_the_limits() {
    let large = format!("{SMALL}# {}", "x".repeat(MAX_PLAN));
    assert_eq!(read(&large).unwrap_err(), ["the plan is larger than 256 KiB"]);
    let stages = "[[stage]]\n".repeat(MAX_STAGES);
    assert_eq!(faults_with(&stages), ["stage: there are more than 50"]);
    let steps = "[[test.step]]\n".repeat(150);
    let faults = faults_with(&format!("[[test]]\n{steps}"));
    assert_eq!(faults.len(), MAX_FAULTS);
    assert_eq!(faults.last().unwrap(), "there are more faults than these");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_with_words(text in ".{0,400}") {
        if let Err(faults) = read(&text) {
            prop_assert!(!faults.is_empty() && faults.iter().all(|it| !it.is_empty()));
        }
    }

    #[test]
    fn a_plan_with_anything_in_a_value_is_read_or_refused(
        line in 0..SAMPLE.lines().count(),
        value in "[-+0-9a-z\"\\[\\]{}=., :TZ*]{0,30}",
    ) {
        let text: String = SAMPLE
            .lines()
            .enumerate()
            .map(|(at, it)| match it.split_once(" = ") {
                Some((key, _)) if at == line => format!("{key} = {value}\n"),
                _ => format!("{it}\n"),
            })
            .collect();
        match read(&text) {
            Ok(plan) => prop_assert!(!plan.stages.is_empty() && !plan.expectations.is_empty()),
            Err(faults) => prop_assert!(!faults.is_empty() && faults.len() <= MAX_FAULTS),
        }
    }
}
