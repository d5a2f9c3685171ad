//! Who tasks run as.

/// The user to run tasks as instead of the specification's: only root can become somebody else.
///
/// Shape: a name of `/etc/passwd`, or the number of the user if it has none there.
pub(crate) fn instead_of(wanted: &str) -> Option<String> {
    let uid = rustix::process::geteuid();
    if uid.is_root() {
        return None;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let own = name(&passwd, uid.as_raw()).unwrap_or_else(|| uid.as_raw().to_string());
    (own != wanted && uid.as_raw().to_string() != wanted).then_some(own)
}

fn name(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(name(passwd, 1000).as_deref(), Some("ann"));
        assert_eq!(name(passwd, 0).as_deref(), Some("root"));
        assert_eq!(name(passwd, 7), None);
    }
}
