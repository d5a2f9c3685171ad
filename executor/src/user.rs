//! Users of the machine, read from `/etc/passwd` and `/etc/group`.
//!
//! Not here: directories of users elsewhere (NSS); a static binary cannot ask them, and an image has its own files.

use std::path::Path;

/// A user to run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The user.
    pub(crate) uid: u32,
    /// Its first group.
    pub(crate) gid: u32,
    /// All its groups, the first included; sorted.
    pub(crate) groups: Vec<u32>,
}

/// The user of this name.
///
/// Shape: a name of the passwd file, or a number, which then needs no entry; nor does `root`, which is user 0 on every machine.
/// Errors: the message says which file was read.
pub(crate) fn find(name: &str) -> Result<Identity, String> {
    let passwd = read(Path::new("/etc/passwd"));
    let group = read(Path::new("/etc/group"));
    lookup(name, &passwd, &group).ok_or_else(|| format!("user {name:?} is not in /etc/passwd"))
}

/// A missing file is an empty one: an image without users can still run numeric ones.
fn read(path: &Path) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn lookup(name: &str, passwd: &str, group: &str) -> Option<Identity> {
    let entries = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let mut entries = entries.filter(|fields| fields.len() >= 4);
    let number = name.parse::<u32>().ok();
    let entry = entries.find(|fields| fields[0] == name || (number.is_some() && fields[2].parse().ok() == number));
    // Small images have no passwd file, and most services run as root.
    let without_entry = number.or((name == "root").then_some(0));
    let (login, uid, gid) = match entry {
        Some(fields) => (fields[0].to_owned(), fields[2].parse().ok()?, fields[3].parse().ok()?),
        None => (name.to_owned(), without_entry?, without_entry?),
    };
    let mut groups = vec![gid];
    for line in group.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        if let [_, _, id, members] = fields[..]
            && members.split(',').any(|member| member == login)
            && let Ok(id) = id.parse()
        {
            groups.push(id);
        }
    }
    groups.sort_unstable();
    groups.dedup();
    Some(Identity { uid, gid, groups })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_found_with_their_groups() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nnobody:x:65534:65533:n:/:/bin/false\n";
        let group = "root:x:0:\ndisk:x:6:root,nobody\naudio:x:5:nobody\nnobody:x:65533:nobody\n";
        let nobody = Identity { uid: 65534, gid: 65533, groups: vec![5, 6, 65533] };
        assert_eq!(lookup("nobody", passwd, group), Some(nobody.clone()));
        assert_eq!(lookup("65534", passwd, group), Some(nobody));
        assert_eq!(lookup("1234", passwd, group), Some(Identity { uid: 1234, gid: 1234, groups: vec![1234] }));
        let twice = "toor:x:0:7::/:/bin/sh\nroot:x:0:0::/:/bin/sh\n";
        assert_eq!(lookup("root", twice, "").map(|root| root.gid), Some(0), "the one of this name");
        assert_eq!(lookup("root", "", ""), Some(Identity { uid: 0, gid: 0, groups: vec![0] }));
        assert_eq!(lookup("someone", passwd, group), None);
        assert_eq!(lookup("broken", passwd, group), None);
    }
}
