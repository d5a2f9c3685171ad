//! `ports.<name>` of a task or resource set.

use super::non_blank;
use crate::{
    code::Code,
    port::{PortRange, PortSpec, VipSpec},
    problem::Problems,
    suggest::Section,
    unsupported::Feature,
    yaml::reader::Field,
};

/// Reads one port.
pub(crate) fn port(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<PortSpec> {
    let mut fields = field.map(problems)?;
    let number = fields
        .required("port", "a port number, 0 for one chosen at placement", problems)
        .and_then(|field| field.int(0..=65535, problems));
    let env_key = non_blank(fields.optional("env-key"), problems);
    let advertise = fields.optional("advertise").and_then(|field| field.boolean(problems)).unwrap_or(false);
    let vip = fields.optional("vip").and_then(|vip_field| vip(&vip_field, &field.key.value, problems));
    let ranges_field = fields.optional("ranges");
    let ranges = ranges_field.as_ref().map(|field| ranges(field, problems)).unwrap_or_default();
    fields.finish(Section::Port, problems);
    let port = u16::try_from(number?.value).ok().filter(|port| *port != 0);
    let ranges = match ranges_field {
        Some(field) if port.is_some() && !ranges.is_empty() => {
            let message = "has no effect; only a port chosen at placement, port: 0, is chosen from ranges";
            problems.push(Code::KeyWithoutEffect, &field.path, &field.key.span, message);
            Vec::new()
        }
        Some(field) if !ranges.is_empty() => {
            field.uses(Feature::PortRanges, problems);
            ranges
        }
        _ => ranges,
    };
    Some(PortSpec { name: field.key.value.clone(), port, env_key, advertise, vip, ranges })
}

/// Where a port may be chosen; nothing for `begin` is 0, nothing or 0 for `end` is 65535.
fn ranges(field: &Field<'_>, problems: &mut Problems<'_>) -> Vec<PortRange> {
    let mut ranges = Vec::new();
    for item in field.items(problems) {
        let Some(mut fields) = item.map(problems) else { continue };
        let mut bound = |name| {
            let Some(field) = fields.number(name, problems) else { return Some(0) };
            field.int(0..=65535, problems).and_then(|bound| u16::try_from(bound.value).ok())
        };
        let (begin, end) = (bound("begin"), bound("end"));
        fields.finish(Section::PortRange, problems);
        let (Some(begin), Some(end)) = (begin, end) else { continue };
        let end = if end == 0 { u16::MAX } else { end };
        if begin > end {
            let message = format!("begins at {begin} and ends at {end}; the end must not be below the begin");
            problems.push(Code::InvalidPortRange, &item.path, &item.key.span, message);
        } else {
            ranges.push(PortRange { begin, end });
        }
    }
    ranges
}

fn vip(field: &Field<'_>, port_name: &str, problems: &mut Problems<'_>) -> Option<VipSpec> {
    let mut fields = field.map(problems)?;
    let port = fields.required("port", "a port number", problems).and_then(|field| field.int(1..=65535, problems));
    let prefix = non_blank(fields.optional("prefix"), problems).unwrap_or_else(|| port_name.to_owned());
    if let Some(field) = fields.optional("protocol") {
        let protocol = field.word(|text| text.eq_ignore_ascii_case("tcp").then_some(()), &["tcp"], problems);
        if protocol.is_some() {
            let message = "is an older key; every virtual address is tcp";
            problems.push(Code::Deprecated, &field.path, &field.key.span, message);
        }
    }
    let mut advertise = true;
    if let Some(field) = fields.optional("advertise")
        && let Some(value) = field.boolean(problems)
    {
        advertise = value;
        let message = if value {
            "is an older key; a port with a virtual address is listed anyway"
        } else {
            "is an older key; it is honoured: the virtual address does not make the port listed"
        };
        problems.push(Code::Deprecated, &field.path, &field.key.span, message);
    }
    fields.finish(Section::Vip, problems);
    Some(VipSpec { prefix, port: u16::try_from(port?.value).ok()?, advertise })
}
