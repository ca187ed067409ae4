use super::*;

/// An attribute, padded.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len() + 4).unwrap();
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn text_attribute(kind: u16, text: &str) -> Vec<u8> {
    attribute(kind, &[text.as_bytes(), &[0]].concat())
}

fn number_attribute(kind: u16, number: u32) -> Vec<u8> {
    attribute(kind, &number.to_be_bytes())
}

fn message(kind: u8, attributes: &[Vec<u8>]) -> Vec<u8> {
    let body = attributes.concat();
    let length = u32::try_from(20 + body.len()).unwrap();
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend((0x0a00_u16 | u16::from(kind)).to_ne_bytes());
    bytes.extend([2, 0]);
    bytes.extend([0; 8]);
    bytes.extend([1, 0, 0, 0]);
    bytes.extend(body);
    bytes
}

fn expression(name: &str, data: &[Vec<u8>]) -> Vec<u8> {
    attribute(1, &[text_attribute(1, name), attribute(2, &data.concat())].concat())
}

fn rule(expressions: &[Vec<u8>]) -> Vec<u8> {
    let place = [text_attribute(1, "filter"), text_attribute(2, "input")];
    let body = [attribute(4, &expressions.concat()), attribute(3, &[7; 8]), attribute(7, b"comment")];
    message(RULE, &[place.concat(), body.concat()])
}

fn counter(packets: u8) -> Vec<u8> {
    expression("counter", &[attribute(1, &[packets; 8]), attribute(2, &[packets; 8])])
}

fn verdict(code: u32) -> Vec<u8> {
    let value = attribute(2, &number_attribute(1, code));
    expression("immediate", &[number_attribute(1, 0), attribute(2, &value)])
}

fn port(operation: u32, port: u16) -> [Vec<u8>; 2] {
    let payload =
        [number_attribute(1, 1), number_attribute(2, 2), number_attribute(3, 2), number_attribute(4, 2)];
    let value = attribute(3, &attribute(1, &port.to_be_bytes()));
    let compare = [number_attribute(1, 1), number_attribute(2, operation), value];
    [expression("payload", &payload), expression("cmp", &compare)]
}

fn table() -> Vec<u8> {
    let table = message(TABLE, &[text_attribute(1, "filter"), number_attribute(3, 2)]);
    let hook = [number_attribute(1, 1), number_attribute(2, 0xffff_ff9c)].concat();
    let chain = [
        text_attribute(1, "filter"),
        text_attribute(3, "input"),
        attribute(4, &hook),
        number_attribute(5, 0),
        text_attribute(7, "filter"),
    ];
    [table, message(CHAIN, &chain)].concat()
}

fn ruleset(rules: &[Vec<u8>]) -> Ruleset {
    let mut ruleset = Ruleset::default();
    ruleset.add(&table());
    ruleset.add(&rules.concat());
    ruleset
}

fn set(name: &str, flags: u32, elements: &[&[u8]]) -> Vec<u8> {
    let place = [text_attribute(1, "filter"), text_attribute(2, name)];
    let set = message(SET, &[place.concat(), number_attribute(3, flags), number_attribute(16, 9)]);
    let element =
        |key: &&[u8]| attribute(1, &[attribute(1, &attribute(1, key)), attribute(5, &[1; 8])].concat());
    let elements: Vec<u8> = elements.iter().flat_map(element).collect();
    [set, message(ELEMENTS, &[place.concat(), attribute(3, &elements)])].concat()
}

fn lookup(name: &str) -> [Vec<u8>; 2] {
    let [payload, _] = port(0, 0);
    [payload, expression("lookup", &[text_attribute(1, name), number_attribute(2, 1)])]
}

#[test]
fn a_rule_is_a_line_and_a_chain_says_its_policy() {
    let [payload, compare] = port(0, 102);
    let ruleset = ruleset(&[rule(&[payload, compare, counter(1), verdict(1)])]);
    assert_eq!(ruleset.tables(), ["inet filter"]);
    assert_eq!(
        ruleset.base_chains(),
        ["inet filter input: filter hook input priority -100 policy drop, 1 rules"]
    );
    assert_eq!(ruleset.rules(), ["inet filter input: th dport 102 counter accept"]);
    assert!(ruleset.faults().is_empty());
}

#[test]
fn counters_handles_and_comments_do_not_count_and_everything_else_does() {
    let with = |packets, port_number, operation| {
        let [payload, compare] = port(operation, port_number);
        ruleset(&[rule(&[payload, compare, counter(packets), verdict(1)])]).digest()
    };
    assert_eq!(with(1, 102, 0), with(200, 102, 0));
    assert_ne!(with(1, 102, 0), with(1, 103, 0));
    assert_ne!(with(1, 102, 0), with(1, 102, 1));
    let (accept, drop) = (rule(&[verdict(1)]), rule(&[verdict(0)]));
    assert_ne!(
        ruleset(&[accept.clone(), drop.clone()]).digest(),
        ruleset(&[drop, accept.clone()]).digest(),
        "the order of rules counts"
    );
    assert_ne!(ruleset(&[accept]).digest(), ruleset(&[]).digest());
    assert_ne!(ruleset(&[]).digest(), Ruleset::default().digest());
}

#[test]
fn a_set_counts_by_what_it_holds_in_any_order() {
    let with = |name: &str, flags, elements: &[&[u8]]| {
        let mut ruleset = Ruleset::default();
        ruleset.add(&table());
        ruleset.add(&set(name, flags, elements));
        ruleset.add(&rule(&lookup(name)));
        ruleset
    };
    let (one, two): (&[u8], &[u8]) = (&[0, 22], &[0, 102]);
    let anonymous = with("__set0", 3, &[one, two]);
    assert_eq!(anonymous.rules(), ["inet filter input: th dport { 22, 102 }"]);
    assert!(anonymous.sets().is_empty());
    // A name that the kernel made up says nothing.
    assert_eq!(anonymous.digest(), with("__set7", 3, &[two, one]).digest());
    assert_ne!(anonymous.digest(), with("__set0", 3, &[one]).digest());
    let named = with("ports", 0, &[one, two]);
    assert_eq!(named.rules(), ["inet filter input: th dport @ports"]);
    assert_eq!(named.sets(), ["inet filter ports: set, 2 elements"]);
    assert_ne!(named.digest(), with("ports2", 0, &[one, two]).digest());
}

#[test]
fn what_packets_put_into_a_set_is_not_asked() {
    let mut ruleset = Ruleset::default();
    ruleset.add(&table());
    ruleset.add(&set("seen", 0x30, &[]));
    ruleset.add(&set("fixed", 0, &[]));
    assert_eq!(ruleset.fixed_sets(), [(1, "filter".to_owned(), "fixed".to_owned())]);
    assert_eq!(ruleset.sets()[1], "inet filter seen: set, its elements move");
}

#[test]
fn an_unknown_expression_is_its_name_and_counts() {
    let odd = |value| rule(&[expression("sorcery", &[number_attribute(1, value)]), verdict(0xffff_fffb)]);
    assert_eq!(ruleset(&[odd(1)]).rules(), ["inet filter input: [sorcery] return"]);
    assert_ne!(ruleset(&[odd(1)]).digest(), ruleset(&[odd(2)]).digest());
}

#[test]
fn lies_in_lengths_and_nesting_end_and_are_said() {
    let mut nested = expression("counter", &[]);
    for _ in 0..200 {
        nested = expression("dynset", &[attribute(7, &nested[4..])]);
    }
    ruleset(&[rule(&[nested])]).digest();

    let mut cut = rule(&[verdict(1)]);
    cut.truncate(cut.len() - 3);
    let mut ruleset = Ruleset::default();
    ruleset.add(&cut);
    assert_eq!(ruleset.faults(), ["the answer is no row of netlink messages"]);

    let mut ruleset = Ruleset::default();
    ruleset.add(&message(RULE, &[vec![255, 255, 1, 0]]));
    ruleset.add(&message(TABLE, &[]));
    assert_eq!(ruleset.faults(), ["a message is cut off", "a message names no table or there are too many"]);
    assert_eq!(ruleset.rule_count(), 0);
}
