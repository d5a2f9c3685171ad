//! Certificates a task gets.

/// A key pair and what belongs to it.
///
/// Source: `svc.yml` `transport-encryption`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportEncryptionSpec {
    /// First part of the file names. Not blank.
    pub name: String,
    /// Which files.
    pub kind: TransportEncryptionKind,
}

/// In which form a key pair is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportEncryptionKind {
    /// `<name>.crt`, `<name>.key` and `<name>.ca`.
    Tls,
    /// `<name>.keystore` and `<name>.truststore`.
    Keystore,
}

impl TransportEncryptionKind {
    /// Its name in specifications and in the stored form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tls => "TLS",
            Self::Keystore => "KEYSTORE",
        }
    }
}
