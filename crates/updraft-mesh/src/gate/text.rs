//! Which bytes may stand where, in tables of one look-up, because every byte of every head
//! is asked for.

/// A character of a token (RFC 9110, 5.6.2): of methods, names of fields.
const TOKEN: u8 = 1;
/// A character of a path: `pchar` and `/` of RFC 3986, 3.3, and `|`, `[`, `]`, which the URL
/// standard of browsers leaves as they are.
const PATH: u8 = 2;
/// A character of a query: what browsers leave as it is there.
const QUERY: u8 = 4;
/// A character of a host's name: of `reg-name` (RFC 3986, 3.2.2) those that names have.
const HOST: u8 = 8;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    let mut byte = 0_u8;
    while index < 256 {
        let word = byte.is_ascii_alphanumeric();
        let mut class = 0;
        if word || contains(b"!#$%&'*+-.^_`|~", byte) {
            class |= TOKEN;
        }
        if word || contains(b"-._~!$&'()*+,;=:@/%|[]", byte) {
            class |= PATH;
        }
        if byte.is_ascii_graphic() && !contains(b"\"<>#", byte) {
            class |= QUERY;
        }
        if word || contains(b"-._", byte) {
            class |= HOST;
        }
        table[index] = class;
        index += 1;
        byte = byte.wrapping_add(1);
    }
    table
}

const fn contains(set: &[u8], byte: u8) -> bool {
    let mut at = 0;
    while at < set.len() {
        if set[at] == byte {
            return true;
        }
        at += 1;
    }
    false
}

fn all(bytes: &[u8], class: u8) -> bool {
    bytes.iter().fold(class, |left, byte| left & CLASSES[usize::from(*byte)]) != 0
}

/// Whether it is a token of at least one character.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && all(bytes, TOKEN)
}

/// Whether a token may begin with it.
pub(super) fn is_token_byte(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & TOKEN != 0
}

/// Whether all may stand in a path.
pub(super) fn is_path(bytes: &[u8]) -> bool {
    all(bytes, PATH)
}

/// Whether all may stand in a query.
pub(super) fn is_query(bytes: &[u8]) -> bool {
    all(bytes, QUERY)
}

/// Whether all may stand in a host's name.
pub(super) fn is_host(bytes: &[u8]) -> bool {
    all(bytes, HOST)
}

/// Whether there is a control character other than HTAB. Written without a way out of the
/// loop, so that it is compiled to vector instructions.
pub(super) fn has_control(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .fold(false, |found, byte| found | ((*byte < 0x20) & (*byte != b'\t')) | (*byte == 0x7f))
}

/// Without the optional white space around it (RFC 9110, 5.6.3).
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The members of a list (RFC 9110, 5.6.1), empty ones left out.
pub(super) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trim).filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_where_the_rfcs_put_it() {
        for byte in 0..=u8::MAX {
            let c = char::from(byte);
            let delimiter = "\"(),/:;<=>?@[\\]{}".contains(c);
            assert_eq!(is_token(&[byte]), c.is_ascii_graphic() && !delimiter, "{c:?}");
            assert_eq!(has_control(&[b'a', byte]), c.is_ascii_control() && c != '\t', "{c:?}");
            if is_path(&[byte]) {
                assert!(is_query(&[byte]) && !" \"#<>?\\^`{}".contains(c), "{c:?}");
            }
        }
    }

    #[test]
    fn lists_are_taken_apart() {
        let parts: Vec<_> = members(b" a,, b\t,c ").collect();
        assert_eq!(parts, [&b"a"[..], b"b", b"c"]);
    }
}
