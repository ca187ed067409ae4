use super::*;
use crate::host::dbus::tests::answer;
use crate::scan::look::tests::{ample, host};

/// Values of a device as a bus sends them.
enum Value<'a> {
    Text(&'a str),
    Texts(&'a [&'a str]),
    Small(u32),
    Large(u64),
}

fn pad(out: &mut Vec<u8>, to: usize) {
    out.resize(out.len().next_multiple_of(to), 0);
}

fn put(out: &mut Vec<u8>, text: &str) {
    pad(out, 4);
    out.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
    out.extend(text.bytes());
    out.push(0);
}

/// An array with its length before it, elements aligned to eight.
fn array(out: &mut Vec<u8>, align: usize, fill: impl FnOnce(&mut Vec<u8>)) {
    pad(out, 4);
    let at = out.len();
    out.extend([0; 4]);
    pad(out, align);
    let start = out.len();
    fill(out);
    let length = u32::try_from(out.len() - start).unwrap();
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

fn reply(devices: &[&[(&str, Value<'_>)]]) -> Vec<u8> {
    let mut body = Vec::new();
    array(&mut body, 4, |body| {
        for device in devices {
            array(body, 8, |body| {
                for (key, value) in *device {
                    pad(body, 8);
                    put(body, key);
                    match value {
                        Value::Text(it) => {
                            body.extend(b"\x01s\0");
                            put(body, it);
                        }
                        Value::Texts(all) => {
                            body.extend(b"\x02as\0");
                            array(body, 4, |body| all.iter().for_each(|it| put(body, it)));
                        }
                        Value::Small(it) => {
                            body.extend(b"\x01u\0");
                            pad(body, 4);
                            body.extend(it.to_le_bytes());
                        }
                        Value::Large(it) => {
                            body.extend(b"\x01t\0");
                            pad(body, 8);
                            body.extend(it.to_le_bytes());
                        }
                    }
                }
            });
        }
    });
    answer(3, DEVICES, &body)
}

fn two_devices() -> Vec<u8> {
    reply(&[
        &[
            ("DeviceId", Value::Text("d432baa2162a32c1554ef24bd8281953b9d07c11")),
            ("Name", Value::Text("UEFI dbx")),
            (
                "Guid",
                Value::Texts(&[
                    "F8BA2887-9411-5C36-9CEE-88995BB39731",
                    "c6682ade-b5ec-57c4-b687-676351208742",
                ]),
            ),
            ("Vendor", Value::Text("UEFI:Microsoft")),
            ("Version", Value::Text("371")),
            ("Created", Value::Large(1_700_000_000)),
            ("Modified", Value::Large(1_700_000_001)),
            ("Flags", Value::Large(8_589_937_666)),
            ("UpdateState", Value::Small(2)),
            ("VersionBuildDate", Value::Large(1_685_923_200)),
            ("Icons", Value::Texts(&[])),
        ],
        &[("DeviceId", Value::Text("abc")), ("Version", Value::Text("1.0")), ("Guid", Value::Texts(&[]))],
        &[("Name", Value::Text("EPYC")), ("Plugin", Value::Text("cpu"))],
    ])
}

#[test]
fn devices_say_what_an_update_changes() {
    let (rows, fault) = devices(&two_devices()).unwrap();
    assert_eq!(fault, None);
    assert_eq!(
        rows,
        [
            FirmwareRow {
                source: "firmware/fwupd".into(),
                kind: "device".into(),
                name: Some("UEFI dbx".into()),
                vendor: Some("UEFI:Microsoft".into()),
                version: Some("371".into()),
                date: Some("2023-06-05".into()),
                state: Some("success".into()),
                guid: Some("f8ba2887-9411-5c36-9cee-88995bb39731".into()),
                ..FirmwareRow::default()
            },
            FirmwareRow {
                source: "firmware/fwupd".into(),
                kind: "device".into(),
                version: Some("1.0".into()),
                guid: Some("abc".into()),
                ..FirmwareRow::default()
            },
            FirmwareRow {
                source: "firmware/fwupd".into(),
                kind: "device".into(),
                name: Some("EPYC".into()),
                ..FirmwareRow::default()
            },
        ]
    );
}

#[test]
fn every_cut_answer_is_refused() {
    let bytes = two_devices();
    for end in 0..bytes.len() {
        assert!(devices(&bytes[..end]).is_err(), "{end}");
    }
    assert_eq!(devices(&answer(3, "s", b"\0\0\0\0\0")), Err(InvalidMessage::Types));
}

#[test]
fn a_value_of_another_type_than_expected_is_skipped() {
    let bytes = reply(&[&[
        ("Version", Value::Text("1")),
        ("Name", Value::Small(7)),
        ("Guid", Value::Text("x")),
        ("UpdateState", Value::Large(1)),
        ("VersionBuildDate", Value::Texts(&["x"])),
    ]]);
    let row = &devices(&bytes).unwrap().0[0];
    assert_eq!((&row.name, &row.guid, &row.state, &row.date), (&None, &None, &None, &None));
}

#[test]
fn devices_and_texts_are_bounded() {
    let long = "ü".repeat(4_000);
    let one: &[(&str, Value<'_>)] = &[("Version", Value::Text("1"))];
    let (rows, fault) = devices(&reply(&vec![one; MAX_DEVICES + 1])).unwrap();
    assert_eq!((rows.len(), fault), (MAX_DEVICES, Some("there are too many devices")));
    let bytes = reply(&[&[("Version", Value::Text(&long)), ("VersionBuildDate", Value::Large(u64::MAX))]]);
    let row = &devices(&bytes).unwrap().0[0];
    assert_eq!(row.version.as_ref().unwrap().len(), MAX_TEXT);
    assert_eq!(row.date, None);
}

#[test]
fn a_captured_root_has_no_bus_and_a_socket_without_anybody_on_it_is_none() {
    let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
        0000000000000000: 00000002 00000000 00010000 0001 01 17001 /run/dbus/system_bus_socket\n\
        0000000000000000: 00000003 00000000 00000000 0001 03 17002 /run/other\n\
        0000000000000000: 00000003 00000000 00000000 0001 03 17003\n";
    let (_dir, mut host) = host(&[(SOCKETS, table)]);
    let reading = |host: &crate::host::Host| {
        let budget = ample();
        probe(&mut Look::new(host, &budget, "test"))
    };
    assert_eq!(reading(&host), Reading::Absent("no message bus: this is no running system".into()));
    host.live = Some(Live { system_bus: "/run/dbus/system_bus_socket".into(), ..Live::default() });
    assert_eq!(reading(&host), Reading::Absent("no message bus runs".into()));
}

#[cfg(target_family = "unix")]
#[test]
fn a_bus_that_is_somebody_elses_program_is_a_gap_within_its_time() {
    use std::io::{Read, Write};
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("bus");
    let listener = std::os::unix::net::UnixListener::bind(&place).unwrap();
    let table = format!("0: 00000003 00000000 00000000 0001 03 17003 {}\n", place.display());
    let (_root, mut host) = host(&[(SOCKETS, &table)]);
    host.live = Some(Live { system_bus: place.clone(), ..Live::default() });
    let other = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"220 mail\r\n").unwrap();
        // Stays until the agent has hung up.
        drop(stream.read_to_end(&mut Vec::new()));
    });
    let budget = ample();
    let reading = probe(&mut Look::new(&host, &budget, "test"));
    assert_eq!(reading, Reading::Failed("the message bus: the bus does not greet as a bus does".into()));
    other.join().unwrap();
    // The socket stays behind, and nobody listens any more.
    assert_eq!(
        probe(&mut Look::new(&host, &budget, "test")),
        Reading::Absent("org.freedesktop.fwupd does not run".into())
    );
}
