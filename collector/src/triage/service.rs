//! Whether the vulnerable product runs or listens on a host, by the names under which it is installed there.
//!
//! Listening and running need one row that names it. Idle needs both sections complete, no row that names it, and a
//! name that such rows could carry; otherwise every value that is worse stays possible.

use holdpoint_common::proto::v1::{ListenerRow, ServiceRow};
use holdpoint_common::section::Digest;
use prost::Message;

use super::inputs::Input;
use super::table::{SERVICE, ValueSet};

/// A section as it is looked at here.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Its rows; `None` when there are none to be read.
    pub rows: Option<&'a [Vec<u8>]>,
    /// The newest attempt read everything.
    pub complete: bool,
    /// When the rows were received, Unix milliseconds.
    pub received_ms: Option<i64>,
    /// Their digest.
    pub digest: Option<Digest>,
}

/// What the host says. `names` are installed names and packages of the product.
pub fn service(names: &[String], listeners: Seen<'_>, services: Seen<'_>) -> Input {
    if names.is_empty() {
        return Input::open(SERVICE, "it is not known under which name the product is installed");
    }
    let is_named = |text: Option<&str>| {
        text.is_some_and(|it| names.iter().any(|name| it.eq_ignore_ascii_case(name) || file_of(it) == *name))
    };
    let about =
        |input: Input, seen: Seen<'_>| Input { as_of_ms: seen.received_ms, digest: seen.digest, ..input };
    let rows = listeners.rows.unwrap_or_default().iter();
    for row in rows.filter_map(|it| ListenerRow::decode(it.as_slice()).ok()) {
        let ListenerRow { protocol, address, port, program, service, package, .. } = row;
        if [&program, &service, &package].into_iter().any(|it| is_named(it.as_deref())) {
            let said = format!("it listens on {protocol} {address} port {port}");
            // What only this host can reach is no listener for anybody else.
            let local = address.starts_with("127.") || address == "::1";
            let set = ValueSet::one(if local { 1 } else { 2 });
            return about(Input::known(SERVICE, set, said), listeners);
        }
    }
    let rows = services.rows.unwrap_or_default().iter();
    for row in rows.filter_map(|it| ServiceRow::decode(it.as_slice()).ok()) {
        let called = [Some(row.name.as_str()), row.display_name.as_deref(), row.image_path.as_deref()];
        if row.state.as_deref() == Some("running") && called.into_iter().any(is_named) {
            let set =
                if listeners.complete { ValueSet::one(1) } else { ValueSet::one(1).or(ValueSet::one(2)) };
            return about(Input::known(SERVICE, set, format!("the service `{}` runs", row.name)), services);
        }
    }
    if listeners.complete && services.complete {
        let said = format!("nothing called {} listens or runs as a service", names.join(", "));
        return about(Input::known(SERVICE, ValueSet::one(0), said), listeners);
    }
    about(Input::open(SERVICE, "listeners and services were not read completely"), listeners)
}

/// The last part of a path, without `.exe`.
fn file_of(path: &str) -> &str {
    let last = path.trim_matches('"').rsplit(['/', '\\']).next().unwrap_or(path);
    last.strip_suffix(".exe").unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(rows: &[Vec<u8>], complete: bool) -> Seen<'_> {
        Seen { rows: Some(rows), complete, received_ms: Some(7), digest: None }
    }

    fn words(names: &[&str], listeners: Seen<'_>, services: Seen<'_>) -> Vec<&'static str> {
        let names: Vec<String> = names.iter().map(|&it| it.to_owned()).collect();
        SERVICE.words(service(&names, listeners, services).set)
    }

    #[test]
    fn idle_needs_two_complete_sections_and_listening_one_row() {
        let listener = |address: &str| {
            ListenerRow {
                protocol: "tcp".into(),
                address: address.into(),
                port: 22,
                package: Some("openssh-server".into()),
                program: Some("/usr/sbin/sshd".into()),
                ..ListenerRow::default()
            }
            .encode_to_vec()
        };
        let runs = ServiceRow { name: "ssh".into(), state: Some("running".into()), ..ServiceRow::default() }
            .encode_to_vec();
        let (open, local, runs) = ([listener("0.0.0.0")], [listener("127.0.0.1")], [runs]);
        assert_eq!(words(&["openssh-server"], seen(&open, false), seen(&[], false)), ["listening"]);
        assert_eq!(words(&["sshd"], seen(&open, true), seen(&[], true)), ["listening"]);
        assert_eq!(words(&["sshd"], seen(&local, true), seen(&[], true)), ["running"]);
        assert_eq!(words(&["ssh"], seen(&[], true), seen(&runs, true)), ["running"]);
        assert_eq!(words(&["ssh"], seen(&[], false), seen(&runs, true)), ["running", "listening"]);
        assert_eq!(words(&["vim"], seen(&open, true), seen(&runs, true)), ["idle"]);
        assert_eq!(words(&["vim"], seen(&open, true), seen(&runs, false)).len(), 3);
        assert_eq!(words(&[], seen(&open, true), seen(&runs, true)).len(), 3);
    }
}
