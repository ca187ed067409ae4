//! The keywords of `sshd_config` that are facts, how their values are read, and OpenSSH's defaults.

use holdpoint_common::row::HardeningRow;

use super::line;
use crate::scan::fact::Fact;

/// How a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `yes` or `no`.
    Flag,
    /// One of these words; the second of a pair is what it is called today.
    Word(&'static [(&'static str, &'static str)]),
    /// A number.
    Number,
    /// A time, in seconds.
    Seconds,
    /// One text, as it stands.
    Text,
    /// Every argument.
    List,
    /// Every argument of every line: here a later line adds.
    Collected,
    /// The arguments of every line as one item.
    Lines,
    /// The rest of the line that starts with this word.
    Of(&'static str),
}

/// What holds when nothing is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Default {
    /// The same in every OpenSSH that is in use.
    Always(&'static str),
    /// Depends on the version or on how it was built.
    Varies,
    /// Nothing: no list, no file.
    Nothing,
}

/// A keyword that is a fact.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keyword {
    /// In lower case; the first is today's, the others are old names.
    pub(super) names: &'static [&'static str],
    /// The last part of the fact's name.
    pub(super) fact: &'static str,
    pub(super) form: Form,
    pub(super) default: Default,
}

const fn keyword(
    names: &'static [&'static str],
    fact: &'static str,
    form: Form,
    default: Default,
) -> Keyword {
    Keyword { names, fact, form, default }
}

const YES: Default = Default::Always("yes");
const NO: Default = Default::Always("no");
const NONE: Default = Default::Nothing;
const ROOT: Form = Form::Word(&[
    ("yes", "yes"),
    ("no", "no"),
    ("prohibit-password", "prohibit-password"),
    ("without-password", "prohibit-password"),
    ("forced-commands-only", "forced-commands-only"),
]);
const FORWARDING: Form =
    Form::Word(&[("yes", "yes"), ("all", "yes"), ("no", "no"), ("remote", "remote"), ("local", "local")]);
const GATEWAY: Form = Form::Word(&[("clientspecified", "clientspecified"), ("yes", "yes"), ("no", "no")]);
const TUNNEL: Form = Form::Word(&[
    ("no", "no"),
    ("yes", "yes"),
    ("ethernet", "ethernet"),
    ("point-to-point", "point-to-point"),
]);
const RHOSTS: Form = Form::Word(&[("yes", "yes"), ("no", "no"), ("shosts-only", "shosts-only")]);
const LEVEL: Form = Form::Word(&[
    ("silent", "SILENT"),
    ("quiet", "QUIET"),
    ("fatal", "FATAL"),
    ("error", "ERROR"),
    ("info", "INFO"),
    ("verbose", "VERBOSE"),
    ("debug", "DEBUG"),
    ("debug1", "DEBUG1"),
    ("debug2", "DEBUG2"),
    ("debug3", "DEBUG3"),
]);

/// The table. `PermitRootLogin` became `prohibit-password` with 7.0 (see `version`).
pub(super) const KEYWORDS: &[Keyword] = &[
    keyword(&["permitrootlogin"], "permit_root_login", ROOT, Default::Varies),
    keyword(&["passwordauthentication"], "password_authentication", Form::Flag, YES),
    keyword(
        &["kbdinteractiveauthentication", "challengeresponseauthentication", "skeyauthentication"],
        "kbd_interactive_authentication",
        Form::Flag,
        YES,
    ),
    keyword(&["pubkeyauthentication", "dsaauthentication"], "pubkey_authentication", Form::Flag, YES),
    keyword(&["permitemptypasswords"], "permit_empty_passwords", Form::Flag, NO),
    keyword(&["allowusers"], "allow_users", Form::Collected, NONE),
    keyword(&["allowgroups"], "allow_groups", Form::Collected, NONE),
    keyword(&["denyusers"], "deny_users", Form::Collected, NONE),
    keyword(&["denygroups"], "deny_groups", Form::Collected, NONE),
    keyword(&["authenticationmethods"], "authentication_methods", Form::List, Default::Always("any")),
    keyword(&["kexalgorithms"], "kex_algorithms", Form::Text, Default::Varies),
    keyword(&["ciphers"], "ciphers", Form::Text, Default::Varies),
    keyword(&["macs"], "macs", Form::Text, Default::Varies),
    keyword(&["hostkeyalgorithms"], "host_key_algorithms", Form::Text, Default::Varies),
    keyword(
        &["pubkeyacceptedalgorithms", "pubkeyacceptedkeytypes"],
        "pubkey_accepted_algorithms",
        Form::Text,
        Default::Varies,
    ),
    keyword(&["x11forwarding"], "x11_forwarding", Form::Flag, NO),
    keyword(&["allowtcpforwarding"], "allow_tcp_forwarding", FORWARDING, YES),
    keyword(&["allowagentforwarding"], "allow_agent_forwarding", Form::Flag, YES),
    keyword(&["maxauthtries"], "max_auth_tries", Form::Number, Default::Always("6")),
    keyword(&["logingracetime"], "login_grace_time", Form::Seconds, Default::Always("120")),
    keyword(&["clientaliveinterval"], "client_alive_interval", Form::Seconds, Default::Always("0")),
    keyword(&["clientalivecountmax"], "client_alive_count_max", Form::Number, Default::Always("3")),
    keyword(&["usepam"], "use_pam", Form::Flag, NO),
    keyword(&["loglevel"], "log_level", LEVEL, Default::Always("INFO")),
    keyword(&["port"], "port", Form::Lines, Default::Always("22")),
    keyword(&["listenaddress"], "listen_address", Form::Lines, NONE),
    keyword(
        &["authorizedkeysfile"],
        "authorized_keys_file",
        Form::List,
        Default::Always(".ssh/authorized_keys .ssh/authorized_keys2"),
    ),
    keyword(&["authorizedkeyscommand"], "authorized_keys_command", Form::Text, NONE),
    keyword(&["gatewayports"], "gateway_ports", GATEWAY, NO),
    keyword(&["permittunnel"], "permit_tunnel", TUNNEL, NO),
    keyword(&["permituserenvironment"], "permit_user_environment", Form::Text, NO),
    keyword(&["strictmodes"], "strict_modes", Form::Flag, YES),
    keyword(&["hostbasedauthentication"], "host_based_authentication", Form::Flag, NO),
    keyword(&["ignorerhosts"], "ignore_rhosts", RHOSTS, YES),
    keyword(&["banner"], "banner", Form::Text, Default::Always("none")),
    keyword(&["subsystem"], "subsystem_sftp", Form::Of("sftp"), NONE),
    keyword(&["trustedusercakeys"], "trusted_user_ca_keys", Form::Text, NONE),
];

impl Keyword {
    /// Whether a line sets it.
    pub(super) fn is_set_by(&self, line: &line::Line) -> bool {
        let is_first = |word| line.arguments.first().is_some_and(|it| it.eq_ignore_ascii_case(word));
        self.names.contains(&line.keyword.as_str())
            && if let Form::Of(word) = self.form { is_first(word) } else { true }
    }

    /// Whether every line counts, and not only the first.
    pub(super) fn adds_up(&self) -> bool {
        matches!(self.form, Form::Collected | Form::Lines)
    }

    /// The fact with the value that these lines of arguments give it; what is no value is an error.
    pub(super) fn row(&self, fact: Fact, lines: &[&[String]]) -> HardeningRow {
        let first = lines.first().copied().unwrap_or_default();
        let one = first.first().map_or("", String::as_str);
        let wrong = |fact: Fact| fact.because(format!("{one:?} is no value of it")).error();
        match self.form {
            Form::Flag if one.eq_ignore_ascii_case("yes") => fact.flag(true),
            Form::Flag if one.eq_ignore_ascii_case("no") => fact.flag(false),
            Form::Flag => wrong(fact),
            Form::Word(words) => match words.iter().find(|it| it.0.eq_ignore_ascii_case(one)) {
                Some((_, today)) => fact.text(today),
                None => wrong(fact),
            },
            Form::Number => match one.parse() {
                Ok(number) => fact.number(number),
                Err(_) => wrong(fact),
            },
            Form::Seconds => match line::seconds(one) {
                Some(seconds) => fact.number(seconds),
                None => wrong(fact),
            },
            Form::Text => fact.text(one),
            Form::List => fact.list(first.iter().cloned()),
            Form::Collected => fact.list(lines.iter().flat_map(|it| it.iter().cloned())),
            Form::Lines => fact.list(lines.iter().map(|it| it.join(" "))),
            Form::Of(_) => fact.text(&first.get(1..).unwrap_or_default().join(" ")),
        }
    }
}
