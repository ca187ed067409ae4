//! Agents in a plant are years old: messages only grow.
//!
//! `baseline.bin` holds the descriptors of the newest release. Whatever it names must still be
//! there, with the same number, type and label. After a release the file is replaced by
//! `src/generated/descriptors.bin`; nothing else may change it.

use std::collections::BTreeMap;

use prost::Message;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorSet};

const BASELINE: &[u8] = include_bytes!("../baseline.bin");

/// Every element of the schemas under its full name, with what a peer relies on.
fn elements(descriptors: &[u8]) -> BTreeMap<String, String> {
    let set = FileDescriptorSet::decode(descriptors).expect("descriptors");
    let mut found = BTreeMap::new();
    for file in &set.file {
        let package = file.package();
        for message in &file.message_type {
            add_message(&mut found, package, message);
        }
        for enumeration in &file.enum_type {
            add_enum(&mut found, package, enumeration);
        }
        for service in &file.service {
            for method in &service.method {
                found.insert(
                    format!("{package}.{}/{}", service.name(), method.name()),
                    format!(
                        "{} -> {} streaming {}/{}",
                        method.input_type(),
                        method.output_type(),
                        method.client_streaming(),
                        method.server_streaming()
                    ),
                );
            }
        }
    }
    found
}

fn add_message(found: &mut BTreeMap<String, String>, parent: &str, message: &DescriptorProto) {
    let name = format!("{parent}.{}", message.name());
    for field in &message.field {
        let oneof = field.oneof_index.and_then(|it| {
            message.oneof_decl.get(usize::try_from(it).expect("index")).map(|it| it.name().to_owned())
        });
        found.insert(
            format!("{name}.{}", field.name()),
            format!(
                "number {} type {:?} {} label {:?} oneof {oneof:?}",
                field.number(),
                field.r#type(),
                field.type_name(),
                field.label()
            ),
        );
    }
    for nested in &message.nested_type {
        add_message(found, &name, nested);
    }
    for enumeration in &message.enum_type {
        add_enum(found, &name, enumeration);
    }
}

fn add_enum(found: &mut BTreeMap<String, String>, parent: &str, enumeration: &EnumDescriptorProto) {
    for value in &enumeration.value {
        found.insert(
            format!("{parent}.{}.{}", enumeration.name(), value.name()),
            format!("number {}", value.number()),
        );
    }
}

fn breaking_changes(old: &[u8], new: &[u8]) -> Vec<String> {
    let new = elements(new);
    elements(old)
        .into_iter()
        .filter_map(|(name, was)| match new.get(&name) {
            Some(is) if *is == was => None,
            Some(is) => Some(format!("{name}: was {was}, is {is}")),
            None => Some(format!("{name} is gone (it was {was})")),
        })
        .collect()
}

#[test]
fn no_message_loses_or_changes_anything() {
    let broken = breaking_changes(BASELINE, holdpoint_proto::DESCRIPTORS);
    assert!(broken.is_empty(), "old peers would misread:\n{}", broken.join("\n"));
}

#[test]
fn a_lost_field_a_new_number_and_a_lost_call_are_noticed() {
    let mut set = FileDescriptorSet::decode(holdpoint_proto::DESCRIPTORS).expect("descriptors");
    let file = set
        .file
        .iter_mut()
        .find(|it| it.name() == "holdpoint/v1/agent_link.proto")
        .expect("the agents' schema");
    file.service[0].method.pop();
    file.message_type[0].field.pop();
    file.message_type[1].field[0].number = Some(99);

    let broken = breaking_changes(holdpoint_proto::DESCRIPTORS, &set.encode_to_vec());
    assert_eq!(broken.len(), 3, "{broken:#?}");
}
