//! What is put before each request so that the master knows who asks.
//!
//! Not the login of DC/OS, which will be another variant here.
//! Invariant: a secret is never formatted: neither `Debug` nor the header's own show it.

use http::HeaderValue;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// How requests to the master are authenticated.
#[derive(Clone, Default)]
pub struct Auth {
    header: Option<HeaderValue>,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.header.is_some() { "Auth(set)" } else { "Auth(none)" })
    }
}

impl Auth {
    /// No authentication.
    pub fn none() -> Self {
        Self::default()
    }

    /// HTTP Basic; Mesos takes the user name as the principal.
    ///
    /// Errors: a secret or principal with a colon would never match on the master's side.
    pub fn basic(principal: &str, secret: &str) -> Result<Self, &'static str> {
        if principal.contains(':') || secret.contains(':') {
            return Err("neither the principal nor the secret may contain `:`, Mesos would never accept it");
        }
        let text = format!("Basic {}", base64(format!("{principal}:{secret}").as_bytes()));
        let mut header = HeaderValue::from_str(&text).expect("base64 is a valid header value");
        header.set_sensitive(true);
        Ok(Self { header: Some(header) })
    }

    /// Value of the `Authorization` header, when there is one.
    pub fn header(&self) -> Option<&HeaderValue> {
        self.header.as_ref()
    }
}

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().enumerate().fold(0u32, |word, (index, byte)| word | u32::from(*byte) << (16 - 8 * index));
        for digit in 0..4 {
            if digit <= chunk.len() {
                text.push(char::from(ALPHABET[(word >> (18 - 6 * digit)) as usize & 63]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn base64_as_in_rfc_4648() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
            ("\u{ff}\u{fe}>", "w7/Dvj4="),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded, "{plain:?}");
        }
    }

    #[test]
    fn basic_is_the_principal_and_the_secret_and_stays_hidden() {
        let auth = Auth::basic("Aladdin", "open sesame").unwrap();
        assert_eq!(auth.header().unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(format!("{auth:?} {:?}", auth.header()), "Auth(set) Some(Sensitive)");
        assert!(Auth::basic("a", "b:c").is_err());
        assert!(Auth::none().header().is_none());
    }
}
