//! SPIFFE IDs against the rules as the specification has them.

use proptest::prelude::*;

use super::*;

/// SPIFFE-ID 2.1 to 2.4, as they are written.
fn is_spiffe_id(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let Some(rest) = text.strip_prefix("spiffe://") else { return false };
    let (domain, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let domain_ok = !domain.is_empty()
        && domain.len() <= 255
        && domain.bytes().all(|byte| inner(byte) && !byte.is_ascii_uppercase());
    let segment_ok = |segment: &str| {
        !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(inner)
    };
    let path_ok = path.is_empty() || path.split('/').skip(1).all(segment_ok);
    text.len() <= 2048 && domain_ok && path_ok
}

fn name() -> impl Strategy<Value = Name> {
    "[a-z]([a-z0-9-]{0,61}[a-z0-9])?".prop_filter_map("a name", |text| text.parse().ok())
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(system in name(), service in name()) {
        let id = SpiffeId::new(system, service);
        prop_assert!(is_spiffe_id(&id.to_string()));
        prop_assert_eq!(id.to_string().parse(), Ok(id.clone()));
        prop_assert!(id.server_name().is_ok(), "{}", id.sni());
    }

    #[test]
    fn all_that_is_read_is_a_spiffe_id_and_has_one_form(
        text in "(spiffe|SPIFFE|http)?(://|:/)?[a-zA-Z0-9._:@%-]{0,8}(/[a-z0-9._?#%-]{0,6}){0,3}"
    ) {
        if let Ok(id) = text.parse::<SpiffeId>() {
            prop_assert!(is_spiffe_id(&text), "{text}");
            prop_assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn two_services_have_two_host_names(
        a in name(), b in name(), c in name(), d in name(),
    ) {
        let (one, other) = (SpiffeId::new(a, b), SpiffeId::new(c, d));
        prop_assert_eq!(one == other, one.sni() == other.sni());
    }
}

#[test]
fn what_is_not_of_the_form_is_refused() {
    let refused = [
        "",
        "spiffe://",
        "spiffe://shop",
        "spiffe://shop/",
        "spiffe:///cart",
        "spiffe://shop//cart",
        "spiffe://shop/cart/",
        "spiffe://shop/ns/cart",
        "spiffe://shop/..",
        "spiffe://shop/.",
        "spiffe://Shop/cart",
        "SPIFFE://shop/cart",
        "spiffe://shop/Cart",
        "spiffe://shop:443/cart",
        "spiffe://root@shop/cart",
        "spiffe://shop/cart?x",
        "spiffe://shop/cart#x",
        "spiffe://shop/c%61rt",
        "spiffe://shop/cart\0",
        " spiffe://shop/cart",
        "spiffe://shop/cart ",
        "https://shop/cart",
        "spiffe:shop/cart",
    ];
    for text in refused {
        assert_eq!(text.parse::<SpiffeId>(), Err(InvalidSpiffeId), "{text:?}");
    }
}
