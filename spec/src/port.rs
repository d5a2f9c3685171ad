//! Ports a resource set asks for.

/// One port of a resource set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
    /// Where a port chosen at placement must lie; anywhere when empty. In declaration order.
    pub ranges: Vec<PortRange>,
}

/// Ports from `begin` to `end`, both included; `begin` is at most `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// First port.
    pub begin: u16,
    /// Last port.
    pub end: u16,
}

/// A named virtual address in front of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VipSpec {
    /// First part of the name; defaults to the port's name.
    pub prefix: String,
    /// Port of the virtual address.
    pub port: u16,
    /// Whether the endpoints API lists the port for its virtual address; the older generation's key, true by default.
    pub advertise: bool,
}

impl PortSpec {
    /// Whether the endpoints API lists the port: when it is advertised, and, as the older generation does, when it has
    /// a virtual address that is not hidden.
    pub fn is_listed(&self) -> bool {
        self.advertise || self.vip.as_ref().is_some_and(|vip| vip.advertise)
    }
}
