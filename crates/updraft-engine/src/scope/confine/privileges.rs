//! No new privileges, and no capability but those that are kept.

use std::io;

use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    clear_ambient_capability_set, configure_capability_in_ambient_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

/// The set has so many places; the kernel knows fewer.
const PLACES: u32 = u64::BITS;

/// Those of the wanted capabilities that this process has.
pub(super) fn granted(wanted: &[String], lacking: &mut Vec<String>) -> io::Result<CapabilitySet> {
    let own = capabilities(None)?.permitted;
    let mut granted = CapabilitySet::empty();
    for name in wanted {
        match CapabilitySet::from_name(name) {
            Some(capability) if own.contains(capability) => granted |= capability,
            Some(_) => {
                lacking.push(format!("it has no CAP_{name}: whoever runs updraft has none either"));
            }
            None => lacking.push(format!("it has no CAP_{name}: it is not known")),
        }
    }
    Ok(granted)
}

/// Gives up to ever gain privileges, by a set-user-ID program or otherwise.
pub(super) fn renounce() -> io::Result<()> {
    Ok(set_no_new_privs(true)?)
}

/// Gives up every capability but those that are granted, in every set. Returns their names.
pub(super) fn keep(granted: CapabilitySet) -> io::Result<Vec<String>> {
    clear_ambient_capability_set()?;
    for place in 0..PLACES {
        let capability = CapabilitySet::from_bits_retain(1 << place);
        match capability_is_in_bounding_set(capability) {
            Ok(true) if !granted.contains(capability) => {
                match remove_capability_from_bounding_set(capability) {
                    // Who may not has none, and with no new privileges gains none.
                    Ok(()) | Err(Errno::PERM) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(_) => {}
            // The kernel knows no more of them.
            Err(_) => break,
        }
    }
    let sets = CapabilitySets { effective: granted, permitted: granted, inheritable: granted };
    set_capabilities(None, sets)?;
    let mut names = Vec::new();
    for (name, capability) in granted.iter_names() {
        // A program that is run by somebody else than root has ambient ones alone.
        configure_capability_in_ambient_set(capability, true)?;
        names.push(name.to_owned());
    }
    Ok(names)
}
