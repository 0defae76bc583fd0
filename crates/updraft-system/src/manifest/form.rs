//! The texts of the manifest that have a form of their own: shares, rates, conditions.

use super::shape::Form;
use crate::BaseImage;
use crate::CpuTarget;
use crate::Limits;
use crate::audit::Ask;
use crate::mesh::{self, Balance, HashBy, PathTemplate, Rate, RetryBudget, RetryOn, Share};

/// A part of a whole.
pub(super) static SHARE: Form = Form {
    what: "a share such as \"5%\"",
    code: "manifest::invalid_share",
    pattern: SHARE_PATTERN,
    fits: |text| text.parse::<Share>().is_ok(),
    words: &[],
    help: "write a percentage from 0% to 100%, such as \"5%\" or \"0.5%\"",
};

/// A part of a whole that is not nothing.
pub(super) static SOME_SHARE: Form = Form {
    what: "a share above 0%, such as \"50%\"",
    code: "manifest::invalid_share",
    pattern: SHARE_PATTERN,
    fits: |text| text.parse::<Share>().is_ok_and(|share| share.parts() != 0),
    words: &[],
    help: "write a percentage from 0.01% to 100%, such as \"50%\"",
};

const SHARE_PATTERN: &str = r"^[0-9]+(\.[0-9]{1,2})?%$";

/// An amount of memory.
pub(super) static MEMORY: Form = Form {
    what: "an amount of memory such as \"256MiB\"",
    code: "manifest::invalid_size",
    pattern: r"^[0-9]+(\.[0-9]{1,3})? ?[KMGT]i(B)?$",
    fits: |text| Limits::memory(text).is_some(),
    words: &[],
    help: "write a number with KiB, MiB, GiB or TiB, from 6MiB to 1024TiB; `M` and `MB` are \
           1000² to some tools and 1024² to others",
};

/// Processor time.
pub(super) static CPU: Form = Form {
    what: "cores such as 0.5, or a share of one core such as \"50%\"",
    code: "manifest::invalid_share",
    pattern: r"^[0-9]+((\.[0-9]{1,3})? ?%?|m)$",
    fits: |text| Limits::cpu(text).is_some(),
    words: &[],
    help: "write cores from 0.01 to 1024, such as 0.5, \"50%\" or \"500m\"",
};

/// So many in a time.
pub(super) static RATE: Form = Form {
    what: "a rate such as \"100/s\"",
    code: "manifest::invalid_rate",
    pattern: "^[0-9]+/[smh]$",
    fits: |text| text.parse::<Rate>().is_ok(),
    words: &[],
    help: "write a number per `s`, `m` or `h`, such as \"100/s\"",
};

/// How many retries there may be.
pub(super) static BUDGET: Form = Form {
    what: "a budget of retries such as \"20%+3/s\"",
    code: "manifest::invalid_budget",
    pattern: r"^[0-9]+(\.[0-9]{1,2})?%(\+[0-9]+/s)?$",
    fits: |text| text.parse::<RetryBudget>().is_ok(),
    words: &[],
    help: "write a share of the first attempts and a number a second, such as \"20%+3/s\"",
};

/// A failure that may be tried again.
pub(super) static RETRY_ON: Form = Form {
    what: "a failure that can be tried again",
    code: "manifest::unknown_word",
    pattern: "^(connect|reset|timeout|grpc-unavailable|429|5[0-9]{2})$",
    fits: |text| text.parse::<RetryOn>().is_ok(),
    words: &["connect", "reset", "timeout", "grpc-unavailable"],
    help: "write connect, reset, timeout, grpc-unavailable, 429, or a status from 500 to 599",
};

/// A request.
pub(super) static ASK: Form = Form {
    what: "a request such as \"GET /reports?rows=50000\"",
    code: "manifest::invalid_request",
    pattern: r"^[A-Z]+ +/\S*$",
    fits: |text| text.parse::<Ask>().is_ok(),
    words: &[],
    help: "write a method and a path, such as \"POST /carts\"",
};

/// A place in a JSON document.
pub(super) static POINTER: Form = Form {
    what: "a JSON pointer such as \"/items/0/id\"",
    code: "manifest::invalid_pointer",
    pattern: "^(/.*)?$",
    fits: |text| text.is_empty() || text.starts_with('/'),
    words: &[],
    help: "write the keys from the outermost inwards, each after a `/`; `\"\"` is the whole",
};

/// Which endpoint a request goes to.
pub(super) static BALANCE: Form = Form {
    what: "\"least-request\", \"round-robin\", \"header:NAME\" or \"cookie:NAME\"",
    code: "manifest::unknown_word",
    pattern: "^(least-request|round-robin|(header|cookie):[A-Za-z0-9_.-]+)$",
    fits: |text| text.parse::<Balance>().is_ok(),
    words: &["least-request", "round-robin"],
    help: "write least-request, round-robin, header:NAME or cookie:NAME",
};

/// Where a key is that requests have in common.
pub(super) static HASH_BY: Form = Form {
    what: "\"header:NAME\" or \"cookie:NAME\"",
    code: "manifest::unknown_word",
    pattern: "^(header|cookie):[A-Za-z0-9_.-]+$",
    fits: |text| text.parse::<HashBy>().is_ok(),
    words: &[],
    help: "write where the key is, such as \"header:x-user\" or \"cookie:sid\"",
};

/// The path of an operation.
pub(super) static PATH_TEMPLATE: Form = Form {
    what: "a path whose segments are plain or parameters, such as \"/quotes/{id}\"",
    code: "manifest::invalid_path_template",
    pattern: r"^/\S*$",
    fits: |text| text.parse::<PathTemplate>().is_ok(),
    words: &[],
    help: "start with `/`; a parameter is a whole segment, and `{*rest}` is all that follows",
};

/// A method.
pub(super) static METHOD: Form = Form {
    what: "a method in capital letters, such as \"GET\"",
    code: "manifest::invalid_method",
    pattern: "^[A-Z]+$",
    fits: mesh::is_method,
    words: &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
    help: "write it in capital letters",
};

/// A condition on a header.
pub(super) static HEADER: Form = Form {
    what: "a header, or a header and its value, such as \"x-fault\" or \"x-user=ann\"",
    code: "manifest::invalid_header",
    pattern: r"^\s*[A-Za-z0-9!#$%&'*+.^_`|~-]+\s*(=.*)?$",
    fits: mesh::is_header,
    words: &[],
    help: "write `name`, which must be there, or `name=value`",
};

/// Where a redirect leads.
pub(super) static LOCATION: Form = Form {
    what: "a path or an address, such as \"/new\" or \"https://example.com/new\"",
    code: "manifest::invalid_location",
    pattern: r"^(/([^/]\S*)?|https?://\S+)$",
    fits: mesh::is_location,
    words: &[],
    help: "start with `/`, `http://` or `https://`, without spaces",
};

/// What an image stands on.
pub(super) static BASE_IMAGE: Form = Form {
    what: "`closure`, `scratch`, `oci:FOLDER`, or an image with its digest",
    code: "manifest::invalid_base",
    pattern: r"^(closure|scratch|oci:.+|[^@\s]+@sha256:[0-9a-f]{64})$",
    fits: |text| text.parse::<BaseImage>().is_ok(),
    words: &["closure", "scratch"],
    help: "write closure, scratch, oci:FOLDER, or REGISTRY/NAME@sha256:… (a tag alone could be \
           another image tomorrow)",
};

/// Where spans go.
pub(super) static OTLP_ADDRESS: Form = Form {
    what: "the address of an OTLP/HTTP receiver, such as \"http://127.0.0.1:4318\"",
    code: "manifest::invalid_address",
    pattern: r"^http://[^\s?#]+$",
    fits: mesh::is_otlp_address,
    words: &[],
    help: "write its base address with `http://`; `/v1/traces` is added to it",
};

/// A part of a processor.
pub(super) static CPU_TARGET: Form = Form {
    what: "a part of a processor such as \"70%\"",
    code: "manifest::invalid_share",
    pattern: "^[1-9][0-9]{0,4}%$",
    fits: |text| text.parse::<CpuTarget>().is_ok(),
    words: &[],
    help: "write a whole percentage from 1% to 10000%; 100% is one processor",
};

/// A cron expression.
pub(super) static CRON: Form = Form {
    what: "a cron expression of five fields such as \"0 3 * * *\"",
    code: "manifest::invalid_cron",
    pattern: r"^\s*(@[a-z]+|\S+(\s+\S+){4})\s*$",
    fits: super::schedule::is_expression,
    words: &[],
    help: "write minute, hour, day of the month, month and day of the week, such as \"30 6 * * MON-FRI\"",
};

/// A time zone.
pub(super) static ZONE: Form = Form {
    what: "a time zone such as \"Europe/Berlin\"",
    code: "manifest::invalid_zone",
    pattern: "^[A-Za-z0-9_+/-]+$",
    fits: looks_like_zone,
    words: &[],
    help: "write a name of the IANA database, such as \"Europe/Berlin\" or \"UTC\"",
};

/// Whether a text has the form of a zone's name.
pub(super) fn looks_like_zone(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_+/-".contains(&b);
    !text.is_empty() && text.bytes().all(plain)
}
