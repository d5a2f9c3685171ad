//! What a task reserves: resource sets, their scalars, ports and volumes.

use super::{At, Result, task::visibility};
use crate::{
    port::{PortRange, PortSpec, VipSpec},
    resource_set::{Limit, ResourceLimits, ResourceSet},
    scalar::Scalar,
    task::Visibility,
    volume::{VolumeKind, VolumeSpec},
};

/// The set of a task; `pre_reserved` is the role its pod refines.
pub(super) fn resource_set(set: &At<'_>, task: &str, pre_reserved: Option<&str>) -> Result<ResourceSet> {
    let limits = set.get("resource-limits").map(At::object).transpose()?;
    let limit = |key| limits.as_ref().and_then(|limits| limits.get(key)).map(|at| limit(&at)).transpose();
    let mut result = ResourceSet {
        id: set.text_of("id")?.unwrap_or_else(|| format!("{task}-resource-set")),
        volumes: set.each("volume-specifications", |item| volume(item, pre_reserved))?,
        limits: ResourceLimits { cpus: limit("cpus")?.flatten(), memory_mb: limit("memory")?.flatten() },
        ..ResourceSet::default()
    };
    for item in set.need("resource-specifications")?.items()? {
        resource(&item, pre_reserved, &mut result)?;
    }
    Ok(result)
}

/// A limit is stored as text; a blank one is none.
fn limit(at: &At<'_>) -> Result<Option<Limit>> {
    match at.value.as_str().map(str::trim) {
        Some("") => Ok(None),
        Some("unlimited") => Ok(Some(Limit::Unlimited)),
        _ => match at.double().and_then(Scalar::from_f64) {
            Some(amount) => Ok(Some(Limit::Amount(amount))),
            None => Err(at.wrong("an amount or unlimited")),
        },
    }
}

fn resource(item: &At<'_>, pre_reserved: Option<&str>, set: &mut ResourceSet) -> Result<()> {
    let tag = item.need("@type")?;
    match tag.text()?.as_str() {
        "DefaultResourceSpec" => {
            check_role(item, pre_reserved)?;
            let name = item.need("name")?;
            let amount = Some(amount(item)?);
            match name.text()?.as_str() {
                "cpus" => set.cpus = amount,
                "mem" => set.memory_mb = amount,
                "gpus" => set.gpus = amount,
                other => return Err(name.not_supported_yet(&format!("the resource {other}"))),
            }
        }
        "PortSpec" | "NamedVIPSpec" => {
            check_role(item, pre_reserved)?;
            set.ports.push(port(item)?);
        }
        // The older generation wraps the ports of a task.
        "PortsSpec" => {
            for inner in item.need("port-specs")?.items()? {
                let mut port = port(&inner)?;
                // In its time ports were advertised through their virtual address only.
                if let Some(vip) = &mut port.vip {
                    vip.advertise = inner.get("visibility").is_none() || port.advertise;
                    port.advertise = false;
                }
                set.ports.push(port);
            }
        }
        _ => return Err(tag.wrong("a kind of resource")),
    }
    Ok(())
}

fn port(port: &At<'_>) -> Result<PortSpec> {
    let tag = port.need("@type")?;
    let vip = match tag.text()?.as_str() {
        "PortSpec" => None,
        "NamedVIPSpec" => Some(VipSpec {
            prefix: port.need("vip-name")?.text()?,
            port: port.need("vip-port")?.whole("a port number")?,
            advertise: port.flag("vip-advertise", true)?,
        }),
        _ => return Err(tag.wrong("a kind of port")),
    };
    let stored = port.need("value")?.need("ranges")?.need("range")?;
    let [only] = stored.items()?.try_into().map_err(|_| stored.wrong("one port"))?;
    let (begin, end) = (only.need("begin")?, only.need("end")?);
    let number: u16 = begin.whole("a port number")?;
    if end.whole::<u16>("a port number")? != number {
        return Err(end.wrong("the number of the same port"));
    }
    let advertise = match port.get("visibility") {
        Some(at) => visibility(&at)? == Visibility::External,
        None => false,
    };
    Ok(PortSpec {
        name: port.need("port-name")?.text()?,
        port: Some(number).filter(|number| *number != 0),
        env_key: port.text_of("env-key")?,
        advertise,
        vip,
        ranges: port.each("ranges", port_range)?,
    })
}

/// Source: missing bounds are the outermost ones, and so is an end of zero.
fn port_range(range: &At<'_>) -> Result<PortRange> {
    let bound = |key| range.whole_of::<u16>(key, "a port number");
    let (begin, end) = (bound("begin")?.unwrap_or(0), bound("end")?.filter(|end| *end != 0).unwrap_or(u16::MAX));
    if range.value.is_object() && begin <= end {
        Ok(PortRange { begin, end })
    } else {
        Err(range.wrong("a range of ports"))
    }
}

pub(super) fn volume(volume: &At<'_>, pre_reserved: Option<&str>) -> Result<VolumeSpec> {
    check_role(volume, pre_reserved)?;
    let profiles_at = volume.get("profiles");
    let profiles = volume.each("profiles", At::text)?;
    let kind_at = volume.need("type")?;
    let kind = match kind_at.text()?.as_str() {
        "ROOT" => match profiles_at.filter(|_| !profiles.is_empty()) {
            None => VolumeKind::Root,
            Some(at) => return Err(at.wrong("an empty list, for a ROOT volume,")),
        },
        "MOUNT" => VolumeKind::Mount { profiles },
        "PATH" => return Err(kind_at.not_supported_yet("a PATH volume")),
        _ => return Err(kind_at.wrong("ROOT or MOUNT")),
    };
    Ok(VolumeSpec { path: volume.need("container-path")?.text()?, kind, size_mb: amount(volume)? })
}

fn amount(item: &At<'_>) -> Result<Scalar> {
    let value = item.need("value")?.need("scalar")?.need("value")?;
    let amount = value.double().and_then(Scalar::from_f64).filter(|amount| !amount.is_zero());
    amount.ok_or_else(|| value.wrong("an amount above zero"))
}

/// The model has one such role per pod; only service code of the SDK could make more.
fn check_role(item: &At<'_>, of_pod: Option<&str>) -> Result<()> {
    match item.get("pre-reserved-role") {
        Some(role) if role.text()? != of_pod.unwrap_or("*") => {
            Err(role.not_supported_yet("a pre-reserved role other than the pod's"))
        }
        _ => Ok(()),
    }
}
