//! The words of ranges in prose, all in lower case.

use super::Operator;

/// Every version, said in words.
pub(super) const EVERYTHING: [&str; 11] = [
    "*",
    "all",
    "all versions",
    "all version",
    "any",
    "any version",
    "any versions",
    "every version",
    "all releases",
    "all firmware versions",
    "all software versions",
];

/// "1.0 through 2.0": both ends and what is between them.
pub(super) const THROUGH: [&str; 2] = [" through ", " thru "];

/// What may stand before a bound without adding anything.
pub(super) const PREAMBLES: [&str; 8] = [
    "all firmware versions",
    "all versions",
    "any version",
    "firmware versions",
    "versions",
    "version",
    "firmware",
    "all",
];

/// Phrases for "up to this one" with an "and" that joins no constraints.
pub(super) const INCLUDING: [&str; 3] =
    ["prior to and including", "up to and including", "including and prior to"];

/// Words of sentences, never of a version's name.
pub(super) const SENTENCE: [&str; 16] = [
    "up", "to", "from", "until", "till", "between", "through", "thru", "the", "of", "than", "all",
    "versions", "are", "is", "affected",
];

/// Operators in words, in front of the bound; the longer of two with the same start comes first.
pub(super) const PREFIXES: [(&str, Operator); 14] = [
    ("less than or equal to", Operator::LessOrEqual),
    ("greater than or equal to", Operator::GreaterOrEqual),
    ("prior to", Operator::Less),
    ("earlier than", Operator::Less),
    ("older than", Operator::Less),
    ("lower than", Operator::Less),
    ("less than", Operator::Less),
    ("before", Operator::Less),
    ("below", Operator::Less),
    ("later than", Operator::Greater),
    ("newer than", Operator::Greater),
    ("higher than", Operator::Greater),
    ("greater than", Operator::Greater),
    ("after", Operator::Greater),
];

/// "1.2 and earlier": the version and what came before it.
pub(super) const DOWNWARDS: [&str; 6] = ["below", "earlier", "prior", "previous", "older", "lower"];

/// "1.2 and later": the version and what came after it.
pub(super) const UPWARDS: [&str; 5] = ["above", "later", "newer", "higher", "greater"];

/// Operators in signs; the longer of two with the same start comes first. `=<` is a common slip.
pub(super) const SIGNS: [(&str, Operator); 11] = [
    ("<=", Operator::LessOrEqual),
    ("=<", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("=>", Operator::GreaterOrEqual),
    ("!=", Operator::NotEqual),
    ("==", Operator::Equal),
    ("\u{2264}", Operator::LessOrEqual),
    ("\u{2265}", Operator::GreaterOrEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
    ("=", Operator::Equal),
];

/// Words that make a range depend on more than the version.
pub(super) const CONDITIONS: [&str; 39] = [
    "if",
    "with",
    "without",
    "when",
    "while",
    "where",
    "which",
    "only",
    "unless",
    "except",
    "excluding",
    "not",
    "using",
    "used",
    "installed",
    "enabled",
    "disabled",
    "configured",
    "configuration",
    "option",
    "options",
    "mode",
    "state",
    "function",
    "serial",
    "digits",
    "number",
    "numbers",
    "production",
    "produced",
    "manufactured",
    "shipped",
    "special",
    "modification",
    "depending",
    "running",
    "removed",
    "series",
    "for",
];

/// Words that make a bound a date.
pub(super) const MONTHS: [&str; 25] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "jan",
    "feb",
    "mar",
    "apr",
    "jun",
    "jul",
    "aug",
    "sep",
    "sept",
    "oct",
    "nov",
    "dec",
    "date",
];
