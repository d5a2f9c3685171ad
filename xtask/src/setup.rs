//! What the tests need from outside: ZooKeeper and Java from the system's packages, and a real Mesos.
//!
//! Invariant: a second call finds everything and installs nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::phase::{Phase, output};
use crate::root;

/// Something that a test looks for, and the Debian package that brings it.
struct Need {
    what: &'static str,
    package: &'static str,
    found: fn() -> bool,
}

/// The server's jar without the package's service, which nobody would use.
const NEEDS: [Need; 6] = [
    Need { what: "a Java runtime", package: "default-jre-headless", found: || in_path("java") },
    Need { what: "ZooKeeper", package: "libzookeeper-java", found: || is_file("/usr/share/java/zookeeper.jar") },
    Need { what: "setpriv", package: "util-linux", found: || in_path("setpriv") },
    // For pods with images and networks.
    Need { what: "a static busybox", package: "busybox-static", found: || is_file("/bin/busybox") },
    Need { what: "the CNI plugins", package: "containernetworking-plugins", found: || is_file("/usr/lib/cni/bridge") },
    Need { what: "ip", package: "iproute2", found: || in_path("ip") },
];

/// Installs what is missing.
///
/// Errors: it cannot be installed; the error says what to install by hand.
pub(crate) fn all(target: &Path) -> Result<()> {
    packages()?;
    let folder = mesos_folder(target);
    Phase::program("real Mesos", root().join("tests/mesos/setup.sh"))
        .args([&folder])
        .run()
        .with_context(|| format!("no real Mesos in {}, and tests need it", folder.display()))
}

/// Where the real Mesos is built: `$MAINSTAY_MESOS`, else a folder beside cargo's output.
pub(crate) fn mesos_folder(target: &Path) -> PathBuf {
    std::env::var_os("MAINSTAY_MESOS").map_or_else(|| target.join("mesos-1.11.0"), PathBuf::from)
}

fn packages() -> Result<()> {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !(need.found)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let whats: Vec<&str> = missing.iter().map(|need| need.what).collect();
    let by_hand = format!("the tests need {}: as root, apt-get install {}", whats.join(", "), names.join(" "));
    if !is_root()? {
        bail!("{by_hand}");
    }
    let quiet = |phase: Phase| phase.env("DEBIAN_FRONTEND", "noninteractive").run().with_context(|| by_hand.clone());
    quiet(Phase::program("package lists", "apt-get").args(["update", "-qq"]))?;
    let install = ["install", "-y", "-qq", "--no-install-recommends"];
    quiet(Phase::program("packages", "apt-get").args(install).args(&names))?;
    if let Some(need) = missing.iter().find(|need| !(need.found)()) {
        bail!("{} is installed and {} is still not found", need.package, need.what);
    }
    Ok(())
}

fn is_root() -> Result<bool> {
    Ok(output("id", &["-u"])?.trim() == "0")
}

fn is_file(path: &str) -> bool {
    Path::new(path).is_file()
}

fn in_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}
