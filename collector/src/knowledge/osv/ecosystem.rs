//! The ecosystems of OSV that are Linux distributions, in the words that hosts write in os-release.

use holdpoint_common::version::Scheme;

use super::super::advisory::Ecosystem;

/// What an ecosystem's text means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    /// A release, or a distribution as a whole.
    Release(Ecosystem),
    /// The same release as it is served to subscribers: its fixes are not available to others.
    Subscription(Ecosystem),
    /// Not a distribution, or a product whose hosts cannot be told.
    Other(&'static str),
}

/// Reads an ecosystem as records write it: `Debian:12`, `Ubuntu:22.04:LTS`, `SUSE:Linux Enterprise Server 15 SP5`.
pub(super) fn read(text: &str) -> Named {
    let (head, rest) = text.split_once(':').unwrap_or((text, ""));
    let of = |distribution: &str, release: Option<String>, scheme| Ecosystem {
        distribution: distribution.to_owned(),
        release,
        scheme,
    };
    let plain = |distribution: &str, scheme| match rest {
        "" => Named::Release(of(distribution, None, scheme)),
        _ if is_number(rest) => Named::Release(of(distribution, Some(rest.to_owned()), scheme)),
        _ => Named::Other("the release is not known"),
    };
    match head {
        "Debian" => plain("debian", Scheme::Deb),
        "Ubuntu" => ubuntu(rest),
        "Alpine" => match rest.strip_prefix('v') {
            Some(release) if is_number(release) => {
                Named::Release(of("alpine", Some(release.to_owned()), Scheme::Alpine))
            }
            _ if rest.is_empty() => Named::Release(of("alpine", None, Scheme::Alpine)),
            _ => Named::Other("the release is not known"),
        },
        "AlmaLinux" => plain("almalinux", Scheme::Rpm),
        "Rocky Linux" => plain("rocky", Scheme::Rpm),
        "Mageia" => plain("mageia", Scheme::Rpm),
        "Photon OS" => plain("photon", Scheme::Rpm),
        "Red Hat" => red_hat(rest),
        "SUSE" => suse(rest),
        "openSUSE" => match rest.split_once(' ') {
            Some(("Leap", release)) if is_number(release) => {
                Named::Release(of("opensuse-leap", Some(release.to_owned()), Scheme::Rpm))
            }
            None if rest == "Tumbleweed" => Named::Release(of("opensuse-tumbleweed", None, Scheme::Rpm)),
            _ => Named::Other("the release is not known"),
        },
        _ => Named::Other("not a Linux distribution that is known here"),
    }
}

fn ubuntu(rest: &str) -> Named {
    let parts: Vec<&str> = rest.split(':').collect();
    let of = |release: Option<&str>| Ecosystem {
        distribution: "ubuntu".to_owned(),
        release: release.map(str::to_owned),
        scheme: Scheme::Deb,
    };
    match parts.as_slice() {
        [""] => Named::Release(of(None)),
        [release] | [release, "LTS"] if is_number(release) => Named::Release(of(Some(release))),
        ["Pro", release] | ["Pro", release, "LTS"] if is_number(release) => {
            Named::Subscription(of(Some(release)))
        }
        // FIPS, real-time and the like are other builds of the same packages with versions of their own.
        ["Pro", ..] => Named::Other("a special build for subscribers"),
        _ => Named::Other("the release is not known"),
    }
}

/// The product part of a CPE: `enterprise_linux:9::baseos`. Extended streams are other products.
fn red_hat(rest: &str) -> Named {
    let parts: Vec<&str> = rest.split(':').collect();
    match parts.as_slice() {
        ["enterprise_linux", release, ..] if is_number(release) => Named::Release(Ecosystem {
            distribution: "rhel".to_owned(),
            release: Some((*release).to_owned()),
            scheme: Scheme::Rpm,
        }),
        _ => Named::Other("a product or stream whose hosts cannot be told"),
    }
}

/// `Linux Enterprise Server 15 SP5`, and the modules that a server is made of.
fn suse(rest: &str) -> Named {
    let Some(product) = rest.strip_prefix("Linux Enterprise ") else {
        return Named::Other("a product whose hosts cannot be told");
    };
    let (distribution, release) = if let Some(release) = product.strip_prefix("Server ") {
        ("sles", release)
    } else if let Some(release) = product.strip_prefix("Desktop ") {
        ("sled", release)
    } else if let Some(module) = product.strip_prefix("Module for ") {
        let digit = module.find(|it: char| it.is_ascii_digit());
        ("sles", digit.map_or("", |at| &module[at..]))
    } else {
        return Named::Other("a product whose hosts cannot be told");
    };
    let (release, subscribed) = match release.split_once('-') {
        Some((release, "LTSS" | "ESPOS")) => (release, true),
        Some(_) => return Named::Other("a product whose hosts cannot be told"),
        None => (release, false),
    };
    let version = match release.split_once(" SP") {
        Some((main, pack)) if is_number(main) && is_number(pack) => format!("{main}.{pack}"),
        None if is_number(release) => release.to_owned(),
        _ => return Named::Other("the release is not known"),
    };
    let ecosystem =
        Ecosystem { distribution: distribution.to_owned(), release: Some(version), scheme: Scheme::Rpm };
    if subscribed { Named::Subscription(ecosystem) } else { Named::Release(ecosystem) }
}

fn is_number(text: &str) -> bool {
    let digits = |it: &str| !it.is_empty() && it.len() <= 8 && it.bytes().all(|it| it.is_ascii_digit());
    !text.is_empty() && text.split('.').all(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_as(text: &str) -> String {
        let shown = |it: Ecosystem| {
            format!("{} {} {}", it.distribution, it.release.as_deref().unwrap_or("*"), it.scheme)
        };
        match read(text) {
            Named::Release(it) => shown(it),
            Named::Subscription(it) => format!("subscription {}", shown(it)),
            Named::Other(why) => format!("other: {why}"),
        }
    }

    #[test]
    fn ecosystems_become_what_hosts_call_themselves() {
        for (text, expected) in [
            ("Debian:12", "debian 12 deb"),
            ("Debian", "debian * deb"),
            ("Ubuntu:22.04:LTS", "ubuntu 22.04 deb"),
            ("Ubuntu:24.10", "ubuntu 24.10 deb"),
            ("Ubuntu:Pro:18.04:LTS", "subscription ubuntu 18.04 deb"),
            ("Alpine:v3.19", "alpine 3.19 alpine"),
            ("AlmaLinux:9", "almalinux 9 rpm"),
            ("Rocky Linux:9", "rocky 9 rpm"),
            ("Red Hat:enterprise_linux:9::baseos", "rhel 9 rpm"),
            ("SUSE:Linux Enterprise Server 15 SP5", "sles 15.5 rpm"),
            ("SUSE:Linux Enterprise Server 12 SP5-LTSS", "subscription sles 12.5 rpm"),
            ("SUSE:Linux Enterprise Module for Basesystem 15 SP5", "sles 15.5 rpm"),
            ("openSUSE:Leap 15.5", "opensuse-leap 15.5 rpm"),
            ("openSUSE:Tumbleweed", "opensuse-tumbleweed * rpm"),
        ] {
            assert_eq!(read_as(text), expected, "{text}");
        }
        for text in [
            "npm",
            "",
            ":",
            "Debian:sid",
            "Ubuntu:Pro:FIPS:20.04:LTS",
            "Ubuntu:22.04:XYZ",
            "Red Hat:rhel_eus:9.2::baseos",
            "SUSE:Manager Server 4.3",
            "SUSE:Linux Enterprise Server for SAP Applications 15 SP5",
            "Alpine:edge",
        ] {
            assert!(read_as(text).starts_with("other: "), "{text}");
        }
    }
}
