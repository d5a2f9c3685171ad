//! Ports a resource set asks for.

/// One port of a resource set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortSpec {
    /// Name, key of the `ports` map.
    pub name: String,
    /// The number wanted, or `None` for one chosen at placement (`port: 0`).
    pub port: Option<u16>,
    /// Environment variable that holds the number; without it `PORT_<NAME>` does.
    pub env_key: Option<String>,
    /// Whether the endpoints API lists it.
    pub advertise: bool,
    /// Virtual address of the port.
    pub vip: Option<VipSpec>,
}

/// A named virtual address in front of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VipSpec {
    /// First part of the name; defaults to the port's name.
    pub prefix: String,
    /// Port of the virtual address.
    pub port: u16,
}

impl PortSpec {
    /// Whether the endpoints API lists the port: when it is advertised, and, as the older generation does, when it has
    /// a virtual address.
    pub fn is_listed(&self) -> bool {
        self.advertise || self.vip.is_some()
    }
}
