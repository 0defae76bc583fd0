//! How our own texts become HTML.

use super::*;

#[test]
fn our_own_text_becomes_paragraphs_and_code() {
    for (text, expected) in [
        ("a\nb\n\nc", "<p>a\nb</p><p>c</p>"),
        ("call `f<T>()` & go", "<p>call <code>f&lt;T&gt;()</code> &amp; go</p>"),
        (
            "so:\n\n```js\nif (a < b) {\n\n}\n```\n\nend",
            "<p>so:</p><pre><code>if (a &lt; b) {\n\n}</code></pre><p>end</p>",
        ),
        ("", ""),
    ] {
        assert_eq!(prose(text), expected);
    }
}
