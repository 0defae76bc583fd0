//! The rules of the gate. Their names are labels of metrics and members of problem documents,
//! so they never change; the table below is the one list of them.

use http::StatusCode;

macro_rules! rules {
    ($($variant:ident $name:literal $status:ident $title:literal)*) => {
        /// What a refused message broke.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Rule {
            $(#[doc = $title] $variant,)*
        }

        impl Rule {
            /// All rules, in the order of the table.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable name: a label of metrics.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What is answered to a message that breaks it.
            pub(crate) const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            /// What it says, in one sentence without a full stop.
            pub(crate) const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

rules! {
    // The bytes of an HTTP/1 head.
    BareLf "bare_lf" BAD_REQUEST "A line ends with CR and LF, not with LF alone"
    BareCr "bare_cr" BAD_REQUEST "CR stands before LF only"
    ControlByte "control_byte" BAD_REQUEST "A head has no control characters"
    LeadingLines "leading_lines" BAD_REQUEST "At most one empty line stands before a request"
    InvalidMethod "invalid_method" BAD_REQUEST "A method is a token of RFC 9110"
    InvalidRequestLine "invalid_request_line" BAD_REQUEST "A request line is a method, a target and a version with one space between them"
    InvalidTarget "invalid_target" BAD_REQUEST "A target is a path or an http URI of the characters that are allowed in one"
    UnsupportedVersion "unsupported_version" HTTP_VERSION_NOT_SUPPORTED "This port speaks HTTP/1.0 and HTTP/1.1"
    Http2Preface "http2_preface" HTTP_VERSION_NOT_SUPPORTED "This port does not speak HTTP/2"
    ObsFold "obs_fold" BAD_REQUEST "A field has one line"
    NoColon "no_colon" BAD_REQUEST "A field has a colon"
    InvalidFieldName "invalid_field_name" BAD_REQUEST "A field's name is a token with the colon right behind it"
    UnderscoreAlias "underscore_alias" BAD_REQUEST "A field's name is no other spelling of a field that the gateway decides by"
    HeadTooLong "head_too_long" REQUEST_HEADER_FIELDS_TOO_LARGE "The head is longer than this gateway allows"
    HeadTimeout "head_timeout" REQUEST_TIMEOUT "A head is whole in the time that this gateway allows"
    TooManyFields "too_many_fields" REQUEST_HEADER_FIELDS_TOO_LARGE "The head has more fields than this gateway allows"

    // Framing.
    DuplicateContentLength "duplicate_content_length" BAD_REQUEST "Content-Length stands once"
    InvalidContentLength "invalid_content_length" BAD_REQUEST "Content-Length is one decimal number"
    LengthAndEncoding "length_and_encoding" BAD_REQUEST "A message has Content-Length or Transfer-Encoding, not both"
    DuplicateTransferEncoding "duplicate_transfer_encoding" BAD_REQUEST "Transfer-Encoding stands once"
    InvalidTransferEncoding "invalid_transfer_encoding" BAD_REQUEST "Transfer-Encoding is `chunked`"
    UnknownTransferEncoding "unknown_transfer_encoding" NOT_IMPLEMENTED "No transfer coding but `chunked` is supported"
    EncodingInHttp10 "encoding_in_http_1_0" BAD_REQUEST "HTTP/1.0 has no Transfer-Encoding"
    InvalidChunkSize "invalid_chunk_size" BAD_REQUEST "The size of a chunk is a hexadecimal number"
    InvalidChunkExtension "invalid_chunk_extension" BAD_REQUEST "The extension of a chunk is `;` and text"
    ChunkExtensionTooLong "chunk_extension_too_long" BAD_REQUEST "The extensions of chunks are longer than this gateway allows"
    InvalidChunkEnd "invalid_chunk_end" BAD_REQUEST "A chunk ends with CR and LF after as many bytes as its size says"
    ForbiddenTrailer "forbidden_trailer" BAD_REQUEST "A trailer does not frame, route or authorize"
    TrailersTooLong "trailers_too_long" BAD_REQUEST "The trailers are longer than this gateway allows"

    // Who is asked, and for what.
    MissingHost "missing_host" BAD_REQUEST "A request names its host"
    DuplicateHost "duplicate_host" BAD_REQUEST "Host stands once"
    InvalidHost "invalid_host" BAD_REQUEST "Host is a name or an address with an optional port"
    HostMismatch "host_mismatch" BAD_REQUEST "Host and the authority of the target are the same"
    Connect "connect" METHOD_NOT_ALLOWED "This gateway makes no tunnels on request"
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED "The method is not one that this gateway passes on"
    DotSegment "dot_segment" BAD_REQUEST "A path has no dot segments, encoded or not"
    EncodedSlash "encoded_slash" BAD_REQUEST "A path has no backslash and no encoded slash or backslash"
    EncodedControl "encoded_control" BAD_REQUEST "A path has no encoded control characters"
    InvalidPercent "invalid_percent" BAD_REQUEST "A percent sign in a path has two hexadecimal digits after it, which make no overlong UTF-8"
    EmptyFirstSegment "empty_first_segment" BAD_REQUEST "A path begins with one slash"

    // Fields.
    DuplicateField "duplicate_field" BAD_REQUEST "A field that has one value stands once"
    InvalidConnection "invalid_connection" BAD_REQUEST "Connection is a list of tokens, and no field of HTTP/2"
    NominatedField "nominated_field" BAD_REQUEST "Connection does not name a field that is meant for the end"
    InvalidUpgrade "invalid_upgrade" BAD_REQUEST "A WebSocket handshake is as RFC 6455 says"
    UnknownExpectation "unknown_expectation" EXPECTATION_FAILED "No expectation but `100-continue` can be met"
    InvalidMaxForwards "invalid_max_forwards" BAD_REQUEST "Max-Forwards is one decimal number"
    MaxForwardsReached "max_forwards_reached" NO_CONTENT "Max-Forwards says that the request ends here"
    Loop "loop" LOOP_DETECTED "The request has been here before"

    // Answers of an endpoint.
    ResponseFraming "response_framing" BAD_GATEWAY "The endpoint's answer has no clear end"
    ResponseConnection "response_connection" BAD_GATEWAY "The endpoint's answer has a Connection field that cannot be obeyed"
    UnaskedUpgrade "unasked_upgrade" BAD_GATEWAY "The endpoint changed the protocol without being asked to"
}

#[cfg(test)]
mod tests {
    use super::Rule;

    #[test]
    fn names_are_labels_and_none_stands_twice() {
        let mut names: Vec<_> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        for name in &names {
            let label =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            assert!(name.bytes().all(label), "{name}");
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Rule::ALL.len());
    }
}
