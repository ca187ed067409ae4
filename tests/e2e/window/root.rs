//! The Debian root that every host starts from: made once, one package behind the distribution's security suite.

use std::fs;
use std::path::{Path, PathBuf};

use holdpoint_tests::program::{program, tool};

/// A root, and what its security suite has for it.
#[derive(Debug, Clone)]
pub(super) struct Root {
    /// The file system. Nobody writes into it: hosts lay their own disks over it.
    pub(super) dir: PathBuf,
    /// The package that is behind.
    pub(super) package: String,
    /// Its version in the root.
    pub(super) old: String,
    /// Its version in the security suite.
    pub(super) new: String,
    /// A library of it.
    pub(super) library: String,
}

/// The root, made where it is not there yet.
///
/// # Errors
/// Why that is not possible here.
pub(super) fn make() -> Result<Root, String> {
    let told = |cause: std::io::Error| cause.to_string();
    let agent = PathBuf::from(program("holdpoint-agent").get_program());
    let target = agent.parent().and_then(Path::parent).ok_or("the programs lie in no target directory")?;
    let roots = target.join("roots");
    let dir = roots.join("debian-window");
    if !dir.exists() {
        let ([suite, mirror], [security_suite, security]) = suites()?;
        // Only a whole root gets the name.
        let part = roots.join(format!("debian-window.part-{}", std::process::id()));
        fs::create_dir_all(&part).map_err(told)?;
        let mut command = tool("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh"]);
        command.args([&super::script("root.sh"), &part]);
        let made = command.args([suite, mirror, security_suite, security]).output().map_err(told)?;
        if !made.status.success() || fs::rename(&part, &dir).is_err() {
            drop(fs::remove_dir_all(&part));
            let said = [made.stdout, made.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
            let said: Vec<_> = said.iter().filter_map(|it| it.lines().last()).collect();
            return Err(format!("no root could be made: {}", said.join("; ")));
        }
    }
    let upgrade = fs::read_to_string(dir.join("upgrade")).map_err(told)?;
    let [package, old, new, library]: [String; 4] = upgrade
        .split_whitespace()
        .map(str::to_owned)
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|it| format!("{} says {it:?} of the package that is behind", dir.display()))?;
    Ok(Root { dir: dir.join("root"), package, old, new, library })
}

/// The main suite that the machine's own apt knows, and its security suite: each with its mirror.
fn suites() -> Result<([String; 2], [String; 2]), String> {
    let format = "$(COMPONENT) $(CODENAME) $(REPO_URI)";
    let known = tool("apt-get")
        .args(["indextargets", "--format", format, "Identifier: Packages"])
        .output()
        .map_err(|it| it.to_string())?;
    let known = String::from_utf8_lossy(&known.stdout).into_owned();
    let known: Vec<[&str; 3]> =
        known.lines().filter_map(|it| it.split_whitespace().collect::<Vec<_>>().try_into().ok()).collect();
    let find = |is: &dyn Fn(&str) -> bool| known.iter().find(|it| it[0] == "main" && is(it[1]));
    let main = find(&|it| !it.contains(['-', '/'])).ok_or("apt knows no mirror (apt-get update)")?;
    let name = format!("{}-security", main[1]);
    let security = find(&|it| it == name).ok_or_else(|| format!("apt knows no mirror of {name}"))?;
    Ok(([main, security]).map(|it| [it[1].to_owned(), it[2].to_owned()]).into())
}
