use super::*;

/// Builds an answer as a bus would, little endian.
pub(crate) fn answer(reply_to: u32, signature: &str, body: &[u8]) -> Vec<u8> {
    message(2, reply_to, signature, None, body)
}

/// Builds a refusal.
pub(crate) fn refusal(reply_to: u32, name: &str) -> Vec<u8> {
    message(3, reply_to, "", Some(name), &[])
}

fn message(kind: u8, reply_to: u32, signature: &str, error: Option<&str>, body: &[u8]) -> Vec<u8> {
    let mut fields = vec![5, 1, b'u', 0];
    fields.extend(reply_to.to_le_bytes());
    if let Some(error) = error {
        pad(&mut fields);
        fields.extend([4, 1, b's', 0]);
        put_text(&mut fields, error);
    }
    if !signature.is_empty() {
        pad(&mut fields);
        fields.extend([8, 1, b'g', 0, u8::try_from(signature.len()).unwrap()]);
        fields.extend(signature.bytes());
        fields.push(0);
    }
    let mut bytes = vec![b'l', kind, 1, VERSION];
    bytes.extend(size(body));
    bytes.extend(7_u32.to_le_bytes());
    bytes.extend(size(&fields));
    bytes.extend(fields);
    pad(&mut bytes);
    bytes.extend(body);
    bytes
}

const CALL: Call<'_> = Call {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
    member: "NameHasOwner",
    argument: Some("org.freedesktop.fwupd"),
};

fn cursor(bytes: &[u8]) -> Cursor<'_> {
    Cursor { bytes, at: 0, big_endian: false }
}

#[test]
fn a_call_reads_back_and_never_starts_a_service() {
    let bytes = CALL.encode(3);
    assert_eq!(bytes[2], NO_AUTO_START);
    assert_eq!(length(&bytes), Ok(bytes.len()));
    let mut message = Message::parse(&bytes).unwrap();
    assert_eq!((message.kind, message.signature), (Kind::Other, "s"));
    assert_eq!(message.body.text(), Ok("org.freedesktop.fwupd"));
    assert!(message.body.is_done());
}

#[test]
fn an_answer_names_its_call_and_a_refusal_its_reason() {
    let bytes = answer(9, "b", &1_u32.to_le_bytes());
    let mut message = Message::parse(&bytes).unwrap();
    assert_eq!((message.kind, message.reply_to, message.body.u32()), (Kind::Return, Some(9), Ok(1)));
    let bytes = refusal(9, "org.freedesktop.DBus.Error.ServiceUnknown");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.error, Some("org.freedesktop.DBus.Error.ServiceUnknown"));
    assert_eq!(message.kind, Kind::Error);
}

#[test]
fn the_other_byte_order_is_read_too() {
    let mut bytes = vec![b'B', 2, 1, VERSION, 0, 0, 0, 4, 0, 0, 0, 7, 0, 0, 0, 8, 5, 1, b'u', 0, 0, 0, 0, 9];
    bytes.extend([0, 0, 0, 1]);
    let mut message = Message::parse(&bytes).unwrap();
    assert_eq!((message.reply_to, message.body.u32()), (Some(9), Ok(1)));
}

#[test]
fn every_cut_of_a_message_is_an_error_and_no_panic() {
    let bytes = CALL.encode(3);
    for end in 0..bytes.len() {
        assert!(Message::parse(&bytes[..end]).is_err(), "{end}");
    }
}

#[test]
fn lengths_that_lie_are_refused_before_they_are_used() {
    let mut bytes = CALL.encode(3);
    bytes[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(length(&bytes), Err(InvalidMessage::TooLarge));
    let mut bytes = CALL.encode(3);
    bytes[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(length(&bytes), Err(InvalidMessage::TooLarge));
    assert_eq!(cursor(&u32::MAX.to_le_bytes()).text(), Err(InvalidMessage::Cut));
    assert_eq!(cursor(&u32::MAX.to_le_bytes()).array(b'y').err(), Some(InvalidMessage::Cut));
    assert_eq!(length(b"GET / HTTP/1.1\r\n"), Err(InvalidMessage::Protocol));
}

#[test]
fn values_of_every_type_are_skipped_by_their_length() {
    for (types, bytes) in [
        ("y", vec![1]),
        ("q", vec![1, 0]),
        ("t", vec![0; 8]),
        ("s", vec![1, 0, 0, 0, b'a', 0]),
        ("g", vec![1, b's', 0]),
        ("v", vec![1, b'y', 0, 7]),
        ("ay", vec![2, 0, 0, 0, 1, 2]),
        ("at", vec![8, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]),
        ("a{sv}", vec![0, 0, 0, 0, 0, 0, 0, 0]),
        ("(yq)", vec![1, 0, 2, 0]),
        ("aa{sv}", vec![0, 0, 0, 0]),
    ] {
        let mut cursor = cursor(&bytes);
        assert_eq!(cursor.skip(types), Ok(()), "{types}");
        assert!(cursor.is_done(), "{types}");
    }
}

#[test]
fn nonsense_for_a_type_and_deep_nesting_are_errors() {
    let zeros = [0; 64];
    for types in ["", "a", "(", "()", "{sv}", "a{}", "z", "(y", "a(y", ")"] {
        assert_eq!(cursor(&zeros).skip(types), Err(InvalidMessage::Types), "{types:?}");
    }
    assert_eq!(cursor(&zeros).skip(&"(".repeat(200)), Err(InvalidMessage::Depth));
    assert_eq!(cursor(&zeros).skip(&"a".repeat(200)), Err(InvalidMessage::Depth));
    let variants = [1, b'v', 0].repeat(1_000);
    assert_eq!(cursor(&variants).skip("v"), Err(InvalidMessage::Depth));
}

#[test]
fn a_text_that_is_not_utf8_or_has_no_end_is_refused() {
    assert_eq!(cursor(&[1, 0, 0, 0, 0xff, 0]).text(), Err(InvalidMessage::Text));
    assert_eq!(cursor(&[1, 0, 0, 0, b'a', b'b']).text(), Err(InvalidMessage::Text));
}
