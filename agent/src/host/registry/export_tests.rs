use super::*;
use crate::host::Registry;
use crate::host::registry::Source;
use proptest::prelude::*;
use std::io;

const FIRST: &str = "Windows Registry Editor Version 5.00\r\n\r\n";

fn tree(body: &str) -> Tree {
    Tree::from_export(&format!("{FIRST}{body}")).unwrap()
}

fn fault(body: &str) -> String {
    let error = Tree::from_export(&format!("{FIRST}{body}")).unwrap_err();
    holdpoint_common::chain::Chain(&error).to_string()
}

fn names(tree: &Tree, key: &str) -> Vec<String> {
    tree.keys(key).unwrap()
}

const KEY: &str = r"HKLM\SOFTWARE\Vendor";

#[test]
fn every_form_of_data_is_read() {
    let tree = tree(concat!(
        "[HKEY_LOCAL_MACHINE\\SOFTWARE\\Vendor]\r\n",
        "@=\"default\"\r\n",
        "\"a \\\"quoted\\\" name\"=\"C:\\\\Program Files\\\\Vendor\" ; a \"comment\r\n",
        "\"number\"=dword:0000002A\r\n",
        "\"wide\"=hex(b):00,00,00,00,01,00,00,00\r\n",
        "\"expand\"=hex(2):25,00,41,00,25,00,00,00\r\n",
        "\"list\"=hex(7):61,00,00,00,62,00,00,00,\\\r\n  00,00\r\n",
        "\"bytes\"=hex:01,02,\\\r\n  03,\\\r\n  04\r\n",
        "\"nothing\"=hex(0):\r\n",
        "; \"left out\"=dword:1\r\n",
        "\"lines\"=\"one\r\ntwo\"\r\n",
    ));
    let is = |name: &str, data: Data| assert_eq!(tree.value(KEY, name).unwrap(), data, "{name}");
    is("", Data::Text("default".into()));
    is("A \"quoted\" NAME", Data::Text(r"C:\Program Files\Vendor".into()));
    is("number", Data::Number(42));
    is("wide", Data::Wide(1 << 32));
    is("expand", Data::Expand("%A%".into()));
    is("list", Data::List(vec!["a".into(), "b".into()]));
    is("bytes", Data::Bytes { kind: BINARY, bytes: vec![1, 2, 3, 4] });
    is("nothing", Data::Bytes { kind: 0, bytes: Vec::new() });
    is("lines", Data::Text("one\ntwo".into()));
    assert_eq!(tree.values(KEY).unwrap().len(), 9);
}

#[test]
fn an_export_is_read_as_utf_16_and_as_utf_8() {
    let text = format!("{FIRST}[HKEY_LOCAL_MACHINE\\SOFTWARE\\Anlage]\r\n\"Name\"=\"Prüfstand 𝄞\"\r\n");
    let wide: Vec<u8> =
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let marked = [&b"\xEF\xBB\xBF"[..], text.as_bytes()].concat();
    for bytes in [&wide[..], &marked, text.as_bytes()] {
        let mut tree = Tree::default();
        tree.merge(bytes).unwrap();
        assert_eq!(tree.value(r"HKLM\software\ANLAGE", "name").unwrap(), Data::Text("Prüfstand 𝄞".into()));
        // However the bytes arrive.
        let mut slow = Tree::default();
        slow.merge(io::BufReader::with_capacity(3, bytes)).unwrap();
        assert_eq!(names(&slow, r"HKLM\SOFTWARE"), ["Anlage"]);
    }
    let mut cut = Tree::default();
    assert!(cut.merge(&wide[..wide.len() - 1]).is_err());
    assert!(Tree::default().merge(&b"REGEDIT4\n[HKLM\\Pr\xFCf]"[..]).is_err(), "no one knows the code page");
}

#[test]
fn the_older_form_has_bytes_where_the_newer_has_characters() {
    let text = "REGEDIT4\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Vendor]\n\"a\"=hex(2):25,41,25,00\n\"b\"=hex(7):61,00,62,00,00\n\"c\"=hex(2):fc,00\n";
    let tree = Tree::from_export(text).unwrap();
    assert_eq!(tree.value(KEY, "a").unwrap(), Data::Expand("%A%".into()));
    assert_eq!(tree.value(KEY, "b").unwrap(), Data::List(vec!["a".into(), "b".into()]));
    assert_eq!(tree.value(KEY, "c").unwrap(), Data::Bytes { kind: EXPAND, bytes: vec![0xFC, 0] });
}

#[test]
fn lines_apply_in_order() {
    let tree = tree(
        r#"[HKEY_LOCAL_MACHINE\SOFTWARE\Vendor\Old\Below]
"x"="1"
[HKEY_LOCAL_MACHINE\SOFTWARE\Vendor]
"gone"="1"
"kept"="1"
"KEPT"="2"
"gone"=-
"never there"=-
[-HKEY_LOCAL_MACHINE\SOFTWARE\vendor\OLD]
[-HKEY_LOCAL_MACHINE\SOFTWARE\Nobody]
[HKEY_LOCAL_MACHINE\SOFTWARE\Vendor\New]
[HKEY_LOCAL_MACHINE\SOFTWARE\Vendor\a]b]
"#,
    );
    assert_eq!(names(&tree, KEY), ["a]b", "New"]);
    let values = tree.values(KEY).unwrap();
    assert_eq!(values, [Value { name: "KEPT".into(), data: Data::Text("2".into()) }]);
    assert_eq!(tree.keys(r"HKLM\SOFTWARE\Vendor\Old").unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(tree.value(KEY, "gone").unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn other_names_of_machine_keys_are_these_keys_and_a_user_without_a_name_is_said() {
    let tree = tree(
        "[HKEY_CLASSES_ROOT\\.plc]\n@=\"Step7\"\n[HKEY_USERS\\.DEFAULT]\n[HKEY_CURRENT_USER\\Software]\n\"x\"=\"1\"\n",
    );
    assert_eq!(tree.value(r"HKLM\SOFTWARE\Classes\.plc", "").unwrap(), Data::Text("Step7".into()));
    assert_eq!(tree.keys("HKU").unwrap_err().to_string(), CURRENT_USER);
    assert_eq!(names(&tree, r"HKU\.DEFAULT"), [""; 0]);
    assert_eq!(names(&tree, "HKLM"), ["SOFTWARE"]);
}

#[test]
fn secrets_are_not_held() {
    let tree = tree(
        "[HKEY_LOCAL_MACHINE\\SAM\\SAM\\Domains]\n\"F\"=hex:01\n[HKEY_LOCAL_MACHINE\\security]\n[HKEY_LOCAL_MACHINE\\SOFTWARE]\n",
    );
    assert_eq!(names(&tree, "HKLM"), ["SOFTWARE"]);
    let error = Registry::new(tree).keys(r"hklm\Security\Policy\Secrets").unwrap_err();
    assert!(error.to_string().contains("never reads"), "{error}");
}

#[test]
fn the_current_control_set_is_found_where_the_export_is_of_hives() {
    let hives = "[HKLM\\SYSTEM\\Select]\n\"Current\"=dword:2\n[HKLM\\SYSTEM\\ControlSet002\\Services\\Tcpip]\n\"Start\"=dword:0\n";
    let key = r"HKLM\SYSTEM\CurrentControlSet\Services\Tcpip";
    assert_eq!(tree(hives).value(key, "Start").unwrap(), Data::Number(0));
    let running = format!("{hives}[{key}]\n\"Start\"=dword:4\n");
    assert_eq!(tree(&running).value(key, "Start").unwrap(), Data::Number(4));
}

#[test]
fn what_is_not_understood_is_an_error_with_its_line() {
    for (body, why) in [
        ("[HKLM\\A\n", "line 3: a key has no ] at its end"),
        ("\n[HKXX\\A]", "line 4: \"HKXX\" begins no key; write HKEY_LOCAL_MACHINE or HKEY_USERS"),
        ("\"a\"=\"1\"", "line 3: a value stands before any key"),
        ("[HKLM\\A]\n\"a\"=\"C:\\Program\"", "line 4: one \\ before 'P' within quotes; write two"),
        ("[HKLM\\A]\n\"a\"=\"x", "line 4: the file ends within a value"),
        ("[HKLM\\A]\n\"a\"=hex:01,\\", "line 4: the file ends within a value"),
        ("[HKLM\\A]\n\"a\"=hex:1g", "line 4: hex: takes pairs of 0-9 a-f with commas between"),
        ("[HKLM\\A]\n\"a\"=hex:100", "line 4: hex: takes pairs of 0-9 a-f with commas between"),
        (
            "[HKLM\\A]\n\"a\"=hex(x):00",
            "line 4: data is neither text in quotes nor dword:, hex: or hex(type):",
        ),
        ("[HKLM\\A]\n\"a\"=dword:+1", "line 4: dword: takes 1 to 8 digits of 0-9 a-f"),
        ("[HKLM\\A]\n\"a\"=\"1\"2", "line 4: something follows the closing quote"),
        ("[HKLM\\A]\n\"a\" dword:1", "line 4: = is missing behind the name of a value"),
        ("[HKLM\\A]\nnonsense", "line 4: neither a key in [ ] nor a value in quotes"),
    ] {
        assert_eq!(fault(body), why);
    }
    for nothing in ["", "\n\n", "root:x:0:0", "Windows Registry Editor Version 6.00"] {
        let error = Tree::from_export(nothing).unwrap_err().to_string();
        assert!(error.contains("no export of a registry"), "{error}");
    }
}

#[test]
fn an_export_is_bounded_in_every_direction() {
    let deep = format!("[HKLM{}]", "\\a".repeat(600));
    let long = format!("[HKLM\\{}]", "a".repeat(256));
    let value = format!("[HKLM\\A]\n\"{}\"=\"\"", "a".repeat(16_384));
    let line = format!("[HKLM\\A]\n\"a\"=\"{}\"", "x".repeat(1 << 20));
    let many: String = (0..100_000).fold(String::new(), |all, at| all + &format!("[HKLM\\{at}]\n"));
    for (body, why) in [
        (deep, "more than 512 keys below one another"),
        (long, "the name of a key has more than 255 characters"),
        (value, "the name of a value has more than 16383 characters"),
        (line, "line 4 cannot be read: a line has more than 1048576 bytes"),
        (many, "more than 8388608 bytes of keys and values; export fewer keys"),
    ] {
        let error = fault(&body);
        assert!(error.contains(why), "{error}");
    }
    let unending = format!("[HKLM\\A]\n\"a\"=hex:{}", format!("{}\\\n", "00,".repeat(1_000)).repeat(2_000));
    assert!(fault(&unending).ends_with("a value of more than 4194304 characters"));
}

#[test]
fn what_is_removed_makes_room() {
    let text = format!("\"a\"=\"{}\"\n", "x".repeat(100_000));
    let again = format!("[HKLM\\A]\n{text}\"a\"=-\n{text}{text}[-HKLM\\A]\n").repeat(40);
    assert_eq!(names(&tree(&again), "HKLM"), [""; 0]);
}

proptest! {
    #[test]
    fn quoted_text_comes_back(name in "[^\r\0]{1,20}", text in "[^\r\0]{0,40}") {
        let written = |it: &str| it.replace('\\', r"\\").replace('"', "\\\"");
        let body = format!("[HKLM\\A]\n\"{}\"=\"{}\"\n", written(&name), written(&text));
        prop_assert_eq!(tree(&body).value(r"HKLM\A", &name).unwrap(), Data::Text(text));
    }

    #[test]
    fn no_text_is_too_strange(body in "[\\[\\]HKLM\\\\a\"=@;,\nhexdword:()0-9-]{0,60}") {
        let _ = Tree::from_export(&format!("{FIRST}[HKLM\\A]\n{body}"));
    }
}
