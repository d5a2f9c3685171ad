//! A resource as one short text, for reports and debugging.

use std::fmt;

use super::{LABEL_RESOURCE_ID, Resource, Value};

/// Prints `cpus:4`, `disk(hello-role)[<persistence id>:data]{<resource id>}:1000`.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if !self.reservations.is_empty() {
            write!(f, "({})", self.role())?;
        }
        if let Some(disk) = &self.disk {
            f.write_str("[")?;
            if let Some(root) = disk.source.as_ref().and_then(|source| source.root.as_deref()) {
                write!(f, "{root}")?;
            }
            if let Some(persistence) = &disk.persistence {
                write!(f, "{}:{}", persistence.id, disk.container_path.as_deref().unwrap_or_default())?;
            }
            f.write_str("]")?;
        }
        if let Some(id) = self.reservation_label(LABEL_RESOURCE_ID) {
            write!(f, "{{{id}}}")?;
        }
        match &self.value {
            Value::Scalar(amount) => write!(f, ":{amount}"),
            Value::Ranges(ranges) => write!(f, ":{ranges}"),
            Value::Set(items) => {
                let items: Vec<_> = items.iter().map(String::as_str).collect();
                write!(f, ":{{{}}}", items.join(","))
            }
        }
    }
}
