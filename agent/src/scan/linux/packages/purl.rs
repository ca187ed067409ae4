//! Package URLs: the encoding that all package databases share.

/// Percent-encodes as package URLs want it.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_url_would_read_otherwise_is_encoded() {
        assert_eq!(encoded("libstdc++"), "libstdc%2B%2B");
        assert_eq!(encoded("1:2~rc1^git-3"), "1%3A2~rc1%5Egit-3");
        assert_eq!(encoded("ü/@?"), "%C3%BC%2F%40%3F");
    }
}
