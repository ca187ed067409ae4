//! Products that are told by their services: what a service is called is harder to change than a name in
//! a list of programs, and is there on hosts without an uninstall entry too.

use holdpoint_common::row::HardeningRow;

use super::ground::Ground;
use super::setting::tell;
use crate::host::Reads;
use crate::scan::fact::Fact;
use crate::scan::{Look, Outcome};

/// What [`installed`] touches.
pub(super) const READS: &[Reads] = &[Reads::key(SERVICES)];

/// The key of all services.
pub(super) const SERVICES: &str = r"HKLM\SYSTEM\CurrentControlSet\Services";

/// A product and the name of its service, lower case; a star at the end stands for anything.
pub(super) type Product = (&'static str, &'static str);

/// Products that say what may run.
pub(super) const ALLOWLISTING: &[Product] = &[
    ("Airlock Digital", "airlockclient"),
    ("Carbon Black App Control", "parity"),
    ("Ivanti Application Control", "appsense*"),
    ("Symantec Critical System Protection", "sisipsservice"),
    ("ThreatLocker", "threatlockerservice"),
    ("Trellix Application Control", "scsrvc"),
    ("Trend Micro Safe Lock", "wkservice"),
    ("TXOne StellarEnforce", "stellarenforce*"),
    ("VMware Carbon Black", "cbdefense"),
];

/// Engines against malware, other than Windows' own.
pub(super) const ANTIVIRUS: &[Product] = &[
    ("Avast", "avast! antivirus"),
    ("AVG", "avg antivirus"),
    ("Bitdefender", "vsserv"),
    ("Cisco Secure Endpoint", "ciscoamp*"),
    ("CrowdStrike Falcon", "csfalconservice"),
    ("Cylance", "cylancesvc"),
    ("ESET", "ekrn"),
    ("F-Secure", "fsma"),
    ("Kaspersky", "avp*"),
    ("Kaspersky Industrial CyberSecurity", "kics*"),
    ("McAfee or Trellix Endpoint Security", "mfemms"),
    ("McAfee VirusScan", "mcshield"),
    ("Microsoft Defender for Endpoint", "sense"),
    ("SentinelOne", "sentinelagent"),
    ("Sophos", "sophos*"),
    ("Symantec Endpoint Protection", "sepmasterservice"),
    ("Trend Micro Apex One", "ntrtscan"),
    ("Trend Micro Deep Security", "ds_agent"),
    ("TXOne Stellar", "stellarprotect*"),
];

/// Tools by which somebody far away gets in or steers the host.
pub(super) const REMOTE: &[Product] = &[
    ("Action1", "a1agent"),
    ("Amazon SSM", "amazonssmagent"),
    ("Ammyy Admin", "ammyyadmin*"),
    ("AnyDesk", "anydesk*"),
    ("Atera", "ateraagent"),
    ("BeyondTrust", "bomgar*"),
    ("Chrome Remote Desktop", "chromoting"),
    ("Dameware", "dwmrcs"),
    ("Dameware", "dwrcs"),
    ("DWService", "dwagent"),
    ("Datto RMM", "cagservice"),
    ("GoToAssist", "gotoassist*"),
    ("Kaseya", "kaseya*"),
    ("LogMeIn", "logmein"),
    ("ManageEngine", "manageengine*"),
    ("MeshCentral", "mesh agent"),
    ("N-able Take Control", "basup*"),
    ("NetSupport", "client32"),
    ("NinjaOne", "ninjarmmagent"),
    ("NoMachine", "nxservice"),
    ("OpenSSH server", "sshd"),
    ("Parsec", "parsec"),
    ("PDQ Connect", "pdqconnectagent"),
    ("Puppet", "puppet"),
    ("Radmin", "rserver3"),
    ("RealVNC", "vncserver"),
    ("RealVNC", "winvnc4"),
    ("Remote Utilities", "rmanservice"),
    ("RustDesk", "rustdesk"),
    ("Salt", "salt-minion"),
    ("ScreenConnect", "screenconnect client*"),
    ("SimpleHelp", "remote access service"),
    ("Splashtop", "splashtopremoteservice"),
    ("Supremo", "supremoservice"),
    ("Tactical RMM", "tacticalrmm"),
    ("TeamViewer", "teamviewer*"),
    ("TightVNC", "tvnserver"),
    ("UltraVNC", "uvnc_service"),
    ("Wazuh", "wazuhsvc"),
    ("Zabbix", "zabbix agent*"),
    ("Zoho Assist", "zohours*"),
];

/// Networks over networks.
pub(super) const NETWORKS: &[Product] = &[
    ("Cisco AnyConnect", "vpnagent"),
    ("Cisco AnyConnect", "csc_vpnagent"),
    ("cloudflared", "cloudflared"),
    ("FortiClient", "fortisslvpndaemon"),
    ("GlobalProtect", "pangps"),
    ("Hamachi", "hamachi2svc"),
    ("Ivanti Secure Access", "dsaccessservice"),
    ("NetBird", "netbird"),
    ("OpenVPN", "openvpn*"),
    ("SoftEther", "sevpn*"),
    ("Tailscale", "tailscale"),
    ("Talk2M eCatcher", "ecatcher*"),
    ("Tinc", "tinc.*"),
    ("TOSIBOX", "tosibox*"),
    ("WireGuard", "wireguard*"),
    ("ZeroTier", "zerotieroneservice"),
];

/// Tools that make backups.
pub(super) const BACKUP: &[Product] = &[
    ("Acronis", "acrsch2svc"),
    ("Acronis", "mms"),
    ("Arcserve", "casad2dwebsvc"),
    ("Backup Exec", "backupexecagentaccelerator"),
    ("Bacula", "bacula-fd"),
    ("Bareos", "bareos-fd"),
    ("Commvault", "gxcvd*"),
    ("FactoryTalk AssetCentre", "rnaassetframework*"),
    ("Macrium Reflect", "macriumservice"),
    ("NetBackup", "netbackup*"),
    ("octoplant", "vdog*"),
    ("Rubrik", "rubrik backup service"),
    ("ShadowProtect", "shadowprotectsvc"),
    ("Spectrum Protect", "tsm client*"),
    ("UrBackup", "urbackupclientbackend"),
    ("Veeam Agent", "veeamendpointbackupsvc"),
    ("Veeam", "veeamdeploysvc"),
    ("Windows Server Backup", "wbengine"),
];

/// Products of a list whose service is installed, as "product: service", in order; what became of the
/// list of services where it could not be read.
pub(super) fn installed(look: &mut Look<'_>, products: &[Product]) -> Outcome<Vec<String>> {
    look.registry_keys_outcome(SERVICES).map_seen(|names| found(&names, products))
}

fn found(names: &[String], products: &[Product]) -> Vec<String> {
    let mut found = Vec::new();
    for name in names {
        let folded = name.to_lowercase();
        let fits = |pattern: &str| match pattern.strip_suffix('*') {
            Some(start) => folded.starts_with(start),
            None => folded == pattern,
        };
        let product = products.iter().find(|(_, service)| fits(service));
        found.extend(product.map(|(product, _)| format!("{product}: {name}")));
    }
    found.sort();
    found
}

/// A fact of what was found.
pub(super) fn row(ground: &Ground, id: &str, checks: &[&str], found: Outcome<Vec<String>>) -> HardeningRow {
    let fact = Fact::new(id, checks, SERVICES);
    tell(ground, SERVICES, fact, found, "no services are here", Fact::list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_told_in_lower_case_and_once_for_each_service() {
        for list in [ALLOWLISTING, ANTIVIRUS, REMOTE, NETWORKS, BACKUP] {
            for (product, service) in list {
                assert_eq!(*service, service.to_lowercase(), "{product}");
                assert!(service.len() > 2, "{product}: a star alone would be everything");
                assert_eq!(list.iter().filter(|it| it.1 == *service).count(), 1, "{service}");
            }
        }
    }
}
