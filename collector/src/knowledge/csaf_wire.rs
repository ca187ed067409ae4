//! The part of CSAF 2.0 and 2.1 that is used, as it stands in the file.
//!
//! Every list may be missing and every text may be sloppy; only what identifies the document is
//! needed. Fields that are not named here are skipped by the parser and stay in the kept bytes.

use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(super) struct File {
    pub(super) document: Document,
    #[serde(default)]
    pub(super) product_tree: Tree,
    #[serde(default)]
    pub(super) vulnerabilities: Vec<Vulnerability>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Document {
    #[serde(default)]
    pub(super) csaf_version: String,
    #[serde(default)]
    pub(super) category: String,
    #[serde(default)]
    pub(super) title: String,
    pub(super) tracking: Tracking,
    #[serde(default)]
    pub(super) publisher: Publisher,
    #[serde(default)]
    pub(super) references: Vec<Reference>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Reference {
    #[serde(default)]
    pub(super) category: String,
    #[serde(default)]
    pub(super) url: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Publisher {
    pub(super) category: String,
    pub(super) name: String,
    pub(super) namespace: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Tracking {
    pub(super) id: String,
    pub(super) version: String,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) current_release_date: String,
    #[serde(default)]
    pub(super) initial_release_date: String,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Tree {
    #[serde(default)]
    pub(super) branches: Vec<Branch>,
    #[serde(default)]
    pub(super) full_product_names: Vec<Product>,
    /// Two products together; version 2.0.
    #[serde(default)]
    pub(super) relationships: Vec<Relationship>,
    /// A product and what it stands on, step by step; version 2.1.
    #[serde(default)]
    pub(super) product_paths: Vec<Path>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Branch {
    #[serde(default)]
    pub(super) category: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) branches: Vec<Branch>,
    pub(super) product: Option<Product>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Product {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) product_id: String,
    #[serde(default)]
    pub(super) product_identification_helper: Helper,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Helper {
    #[serde(default)]
    pub(super) model_numbers: Vec<String>,
    pub(super) purl: Option<String>,
    #[serde(default)]
    pub(super) purls: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Relationship {
    #[serde(default)]
    pub(super) product_reference: String,
    #[serde(default)]
    pub(super) relates_to_product_reference: String,
    pub(super) full_product_name: Option<Product>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Path {
    #[serde(default)]
    pub(super) beginning_product_reference: String,
    #[serde(default)]
    pub(super) subpaths: Vec<Subpath>,
    pub(super) full_product_name: Option<Product>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Subpath {
    #[serde(default)]
    pub(super) next_product_reference: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Vulnerability {
    pub(super) cve: Option<String>,
    #[serde(default)]
    pub(super) ids: Vec<OtherId>,
    #[serde(default)]
    pub(super) product_status: Status,
    #[serde(default)]
    pub(super) remediations: Vec<Remediation>,
    /// Version 2.0.
    #[serde(default)]
    pub(super) scores: Vec<Score>,
    /// Version 2.1.
    #[serde(default)]
    pub(super) metrics: Vec<Metric>,
}

#[derive(Debug, Deserialize)]
pub(super) struct OtherId {
    #[serde(default)]
    pub(super) text: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub(super) first_affected: Vec<String>,
    pub(super) known_affected: Vec<String>,
    pub(super) last_affected: Vec<String>,
    pub(super) known_not_affected: Vec<String>,
    pub(super) first_fixed: Vec<String>,
    pub(super) fixed: Vec<String>,
    pub(super) under_investigation: Vec<String>,
    /// Version 2.1: nobody has said anything about it.
    pub(super) unknown: Vec<String>,
    /// Versions that the vendor advises; no statement about a vulnerability.
    pub(super) recommended: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Remediation {
    #[serde(default)]
    pub(super) category: String,
    #[serde(default)]
    pub(super) details: String,
    #[serde(default)]
    pub(super) url: String,
    #[serde(default)]
    pub(super) product_ids: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Metric {
    pub(super) content: Option<Score>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Score {
    pub(super) cvss_v4: Option<Cvss>,
    pub(super) cvss_v3: Option<Cvss>,
    pub(super) cvss_v2: Option<Cvss>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Cvss {
    #[serde(rename = "baseScore")]
    pub(super) base_score: Option<f64>,
    #[serde(rename = "baseSeverity")]
    pub(super) base_severity: Option<String>,
    #[serde(rename = "vectorString")]
    pub(super) vector: Option<String>,
}
