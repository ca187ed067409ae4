//! What is known, in forms that other programs read. Each is made from what the collector answers anyway; none
//! judges again, and none makes something certain of what is not.

pub mod cef;
pub mod cyclonedx;
pub mod ocsf;

use serde_json::{Map, Value};

/// Who wrote it.
const PRODUCT: &str = "Holdpoint";
/// The version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Absent is absent: neither CycloneDX nor OCSF has a null.
fn without_null(fields: &mut Map<String, Value>) {
    fields.retain(|_, it| !it.is_null());
    for it in fields.values_mut() {
        match it {
            Value::Object(inner) => without_null(inner),
            Value::Array(items) => {
                items.iter_mut().filter_map(Value::as_object_mut).for_each(without_null);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}
