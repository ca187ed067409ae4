//! Reads the text of a range.
//!
//! Strict `vers` text follows the specification and is refused when it does not. Everything else is
//! read as people write it: signs or words for operators, bars, commas and words between constraints.
//! A text with a word that nothing here knows is not understood as a whole.

use super::super::natural::{self, Shape};
use super::{Constraint, Constraints, MAX_CONSTRAINTS, MAX_RANGE_BYTES, Operator, Range, words};

/// The `vers` types that name no scheme of their own; text behind them is read as prose.
const UNTYPED: [&str; 2] = ["all", "generic"];

pub(super) fn parse(text: &str) -> Range {
    let unparsed = || Range::Unparsed { text: text.chars().take(MAX_RANGE_BYTES).collect() };
    if text.len() > MAX_RANGE_BYTES || text.trim().is_empty() {
        return unparsed();
    }
    let lower = text.to_ascii_lowercase();
    let Some(start) = lower.trim_start().strip_prefix("vers:") else {
        return prose(text).unwrap_or_else(unparsed);
    };
    let Some((kind, _)) = start.split_once('/') else { return unparsed() };
    let rest = &text[text.len() - start.len() + kind.len() + 1..];
    let read = if UNTYPED.contains(&kind) { prose(rest) } else { strict(kind, rest) };
    read.map_or_else(unparsed, |range| match range {
        // The whole text is shown to people, not what is left of it.
        Range::Conditional { .. } => Range::Conditional { text: text.to_owned() },
        Range::BranchList { bounds, .. } => Range::BranchList { text: text.to_owned(), bounds },
        Range::All | Range::Constraints(_) | Range::Unparsed { .. } => range,
    })
}

/// Reads what stands behind `vers:TYPE/`.
fn strict(kind: &str, text: &str) -> Option<Range> {
    let is_type =
        !kind.is_empty() && kind.bytes().all(|it| it.is_ascii_alphanumeric() || b".+-".contains(&it));
    if !is_type || kind == "none" || text.contains(|it: char| it.is_whitespace() || it.is_control()) {
        return None;
    }
    if text == "*" {
        return Some(Range::All);
    }
    let list = text
        .split('|')
        .map(|piece| {
            let (operator, rest) = strip_sign(piece).unwrap_or((Operator::Equal, piece));
            let version = percent_decode(rest)?;
            (!version.is_empty() && !version.contains(['*', '<', '>', '=', '!', '|']))
                .then_some(Constraint { operator, version })
        })
        .collect::<Option<Vec<_>>>()?;
    (list.len() <= MAX_CONSTRAINTS)
        .then(|| Range::Constraints(Constraints { list, vers_type: Some(kind.to_owned()) }))
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first == b'%' {
            let [high, low, after @ ..] = after else { return None };
            let digit = |it: u8| char::from(it).to_digit(16).and_then(|it| u8::try_from(it).ok());
            bytes.push(digit(*high)? * 16 + digit(*low)?);
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Reads everything that is not strict `vers`; `None` is not understood.
fn prose(text: &str) -> Option<Range> {
    let text = squeeze(text);
    let lower = text.to_ascii_lowercase();
    if words::EVERYTHING.contains(&lower.as_str()) {
        return Some(Range::All);
    }
    let mut spoken = lower.split(|it: char| !it.is_alphabetic()).filter(|it| !it.is_empty());
    if spoken.clone().any(|it| words::CONDITIONS.contains(&it)) || has_remark(&lower) {
        return Some(Range::Conditional { text });
    }
    if spoken.any(|it| words::MONTHS.contains(&it)) {
        return None;
    }
    let mut list = Vec::new();
    for chunk in text.split(['|', ';']) {
        read_chunk(chunk, &mut list)?;
        if list.len() > MAX_CONSTRAINTS {
            return None;
        }
    }
    if let [only] = list.as_slice()
        && let Some(bounds) = read_branches(only)
    {
        return Some(Range::BranchList { text, bounds });
    }
    let readable = list.iter().all(|it| is_bound(&it.version));
    (readable && !list.is_empty()).then_some(Range::Constraints(Constraints { list, vers_type: None }))
}

/// Signs that take no place on a page, and are pasted into texts unseen: zero-width spaces and joiners, a byte-order
/// mark, a soft hyphen.
const UNSEEN: [char; 6] = ['\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{ad}'];

/// Makes every run of white space one space, and none at the ends; undoes what converters do to signs.
fn squeeze(text: &str) -> String {
    let seen = text.replace(UNSEEN, "").replace("&lt;", "<").replace("&gt;", ">");
    let squeezed = seen.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut text = squeezed.replace("< =", "<=").replace("> =", ">=");
    for phrase in words::INCLUDING {
        if let Some(at) = text.to_ascii_lowercase().find(phrase) {
            text.replace_range(at..at + phrase.len(), "<=");
        }
    }
    text
}

/// Whether there is a remark of words in parentheses.
fn has_remark(lower: &str) -> bool {
    lower.split_once(" (").is_some_and(|(_, remark)| {
        remark
            .split(|it: char| !it.is_alphabetic())
            .any(|word| word.len() > 1 && !natural::is_known_word(word))
            && !words::DOWNWARDS.iter().chain(&words::UPWARDS).any(|it| remark.contains(it))
    })
}

/// Reads what stands between two bars: constraints in a row, joined by signs, commas or words.
fn read_chunk(chunk: &str, list: &mut Vec<Constraint>) -> Option<()> {
    let (chunk, direction) = strip_direction(chunk.trim());
    let before = list.len();
    for piece in split_pieces(&chunk) {
        read_piece(&piece, list)?;
    }
    if list.len() == before {
        return None;
    }
    let Some(direction) = direction else { return Some(()) };
    // "<= 1.2 and earlier" says it twice; "> 1.2 and earlier" contradicts itself.
    let constraint = list.last_mut()?;
    if constraint.operator != Operator::Equal && constraint.operator != direction {
        return None;
    }
    constraint.operator = direction;
    Some(())
}

/// Takes "and earlier" and the like off the end.
fn strip_direction(chunk: &str) -> (String, Option<Operator>) {
    let plain = chunk.replace(['(', ')'], " ");
    let mut kept: Vec<&str> = plain.split_whitespace().collect();
    let last_is = |kept: &[&str], words: &[&str]| {
        kept.last().is_some_and(|last| words.iter().any(|it| last.eq_ignore_ascii_case(it)))
    };
    if last_is(&kept, &["version", "versions", "release", "releases"]) {
        kept.pop();
    }
    let direction = if last_is(&kept, &words::DOWNWARDS) {
        Operator::LessOrEqual
    } else if last_is(&kept, &words::UPWARDS) {
        Operator::GreaterOrEqual
    } else {
        return (chunk.to_owned(), None);
    };
    kept.pop();
    if last_is(&kept, &["all", "any"]) {
        kept.pop();
    }
    if !last_is(&kept, &["and", "or"]) {
        return (chunk.to_owned(), None);
    }
    kept.pop();
    (kept.join(" ").trim_end_matches([',', ' ']).to_owned(), Some(direction))
}

/// Splits at commas and at the words "and" and "or"; ", and" is one joint.
fn split_pieces(chunk: &str) -> Vec<String> {
    let mut pieces = vec![Vec::new()];
    let mut behind_comma = false;
    for word in chunk.replace(',', " , ").split_whitespace() {
        let after_comma = std::mem::replace(&mut behind_comma, word == ",");
        if after_comma && (word.eq_ignore_ascii_case("and") || word.eq_ignore_ascii_case("or")) {
            continue;
        }
        if word == "," || word.eq_ignore_ascii_case("and") || word.eq_ignore_ascii_case("or") {
            pieces.push(Vec::new());
        } else if let Some(piece) = pieces.last_mut() {
            piece.push(word.to_owned());
        }
    }
    pieces.into_iter().map(|it| it.join(" ")).collect()
}

/// Reads constraints that follow each other without a separator: `>= 1.0 < 2.0`.
fn read_piece(piece: &str, list: &mut Vec<Constraint>) -> Option<()> {
    let mut rest = strip_preamble(piece);
    if rest.is_empty() {
        return None;
    }
    let bare = strip_sign(rest).is_none() && strip_word(rest).is_none();
    // "All versions V2" may mean anything; "version V2" is just a version.
    if bare && rest.len() < piece.len() && !starts_with_ignoring_case(piece, "v") {
        return None;
    }
    if bare && let Some((from, to)) = split_through(rest) {
        for (operator, version) in [(Operator::GreaterOrEqual, from), (Operator::LessOrEqual, to)] {
            list.push(Constraint { operator, version: version.to_owned() });
        }
        return Some(());
    }
    let mut operator = Operator::Equal;
    if !bare {
        (operator, rest) = strip_sign(rest).or_else(|| strip_word(rest))?;
    }
    loop {
        let end = rest.char_indices().map(|(at, _)| at).find(|at| strip_sign(&rest[*at..]).is_some());
        let version = rest[..end.unwrap_or(rest.len())].trim();
        if version.is_empty() || (bare && end.is_some()) {
            return None;
        }
        list.push(Constraint { operator, version: version.to_owned() });
        let Some(end) = end else { return Some(()) };
        (operator, rest) = strip_sign(&rest[end..])?;
    }
}

/// The ends of "1.0 through 2.0". With "to" or a hyphen nobody says whether the second one is meant too.
fn split_through(text: &str) -> Option<(&str, &str)> {
    let lower = text.to_ascii_lowercase();
    let (at, word) = words::THROUGH.iter().find_map(|word| lower.find(word).map(|at| (at, *word)))?;
    let (from, to) = (text[..at].trim(), text[at + word.len()..].trim());
    let again = words::THROUGH.iter().any(|it| to.to_ascii_lowercase().contains(it));
    let whole = |it: &str| !it.is_empty() && strip_sign(it).is_none() && strip_word(it).is_none();
    (whole(from) && whole(to) && !again).then_some((from, to))
}

fn strip_preamble(piece: &str) -> &str {
    words::PREAMBLES
        .iter()
        .find_map(|it| {
            let rest = starts_with_ignoring_case(piece, it).then(|| &piece[it.len()..])?;
            (!rest.starts_with(|it: char| it.is_alphanumeric() || it == '.')).then(|| rest.trim_start())
        })
        .unwrap_or(piece)
}

fn strip_sign(text: &str) -> Option<(Operator, &str)> {
    words::SIGNS.iter().find_map(|(sign, operator)| Some((*operator, text.strip_prefix(sign)?)))
}

fn strip_word(text: &str) -> Option<(Operator, &str)> {
    words::PREFIXES.iter().find_map(|(word, operator)| {
        let rest = starts_with_ignoring_case(text, word).then(|| &text[word.len()..])?;
        rest.starts_with(' ').then_some((*operator, rest))
    })
}

fn starts_with_ignoring_case(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|it| it.eq_ignore_ascii_case(start))
}

/// Whether a text can be a bound of some scheme at all. The scheme has the last word.
fn is_bound(version: &str) -> bool {
    let known_signs = version.chars().all(|it| !it.is_control() && !"/\\<>=!|\"'".contains(it));
    let has_number = version.contains(|it: char| it.is_ascii_digit());
    let lower = version.to_ascii_lowercase();
    let is_sentence = lower.split(' ').any(|it| words::SENTENCE.contains(&it));
    // Only the vendors' grammar knows versions of several words.
    let readable = !version.contains(' ')
        || natural::shape(version) != Shape::Unreadable
        || natural::is_known_word(version.split(' ').next().unwrap_or(version));
    known_signs && has_number && !is_sentence && readable && !is_date(version)
}

/// Whether this is a day as ISO 8601 writes it.
fn is_date(version: &str) -> bool {
    let lengths: Vec<_> = version
        .split('-')
        .map(|it| if it.bytes().all(|it| it.is_ascii_digit()) { it.len() } else { 0 })
        .collect();
    matches!(lengths.as_slice(), [4, 1..=2, 1..=2])
}

/// Reads `v36.011_v35.013_v34.014`: several versions that are built alike, under one operator.
fn read_branches(constraint: &Constraint) -> Option<Vec<Constraint>> {
    let branches: Vec<_> = constraint.version.split(['_', ' ', '/']).filter(|it| !it.is_empty()).collect();
    let numbers = |branch: &str| {
        let numbers: Vec<_> = branch.trim_start_matches(['v', 'V']).split('.').collect();
        let plain = numbers.iter().all(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()));
        plain.then_some(numbers.len())
    };
    let first = numbers(branches.first()?)?;
    (branches.len() > 1 && branches.iter().all(|it| numbers(it) == Some(first))).then(|| {
        branches
            .iter()
            .map(|it| Constraint { operator: constraint.operator, version: (*it).to_owned() })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(Operator, String)> {
        match parse(text) {
            Range::Constraints(it) => it.list.into_iter().map(|it| (it.operator, it.version)).collect(),
            other @ (Range::All
            | Range::Conditional { .. }
            | Range::BranchList { .. }
            | Range::Unparsed { .. }) => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn one_bound_is_read_in_all_its_spellings() {
        use Operator::{GreaterOrEqual, Less, LessOrEqual};
        for (text, operator) in [
            ("< V4.1", Less),
            (" <V4.1", Less),
            ("All versions < V4.1", Less),
            ("vers:all/<V4.1", Less),
            ("versions prior to V4.1", Less),
            ("All versions before V4.1", Less),
            ("<= V4.1", LessOrEqual),
            ("=< V4.1", LessOrEqual),
            ("V4.1 and  below", LessOrEqual),
            ("V4.1 (and prior)", LessOrEqual),
            ("Version V4.1 or earlier versions", LessOrEqual),
            ("V4.1, and all prior versions", LessOrEqual),
            ("\u{2264} V4.1", LessOrEqual),
            ("V4.1 and later", GreaterOrEqual),
            (">=V4.1", GreaterOrEqual),
            ("< =\u{200b}V4.1", LessOrEqual),
            ("&lt;=\u{a0}V4.1", LessOrEqual),
            ("all versions prior to V4.1", Less),
            ("Including and prior to V4.1", LessOrEqual),
            ("All versions up to and including V4.1", LessOrEqual),
        ] {
            assert_eq!(read(text), [(operator, "V4.1".to_owned())], "{text}");
        }
    }

    #[test]
    fn two_bounds_are_read_with_any_joint() {
        for text in [
            "1.0 through 2.0",
            "Versions 1.0 thru 2.0",
            ">= 1.0, and <= 2.0",
            ">= 1.0 | <= 2.0",
            ">= 1.0 and <= 2.0",
            ">= 1.0 <= 2.0",
            "vers:all/>=1.0<=2.0",
            ">=1.0,<=2.0",
        ] {
            assert_eq!(
                read(text),
                [(Operator::GreaterOrEqual, "1.0".to_owned()), (Operator::LessOrEqual, "2.0".to_owned())],
                "{text}"
            );
        }
    }

    #[test]
    fn a_list_in_words_is_a_list() {
        for text in ["1.0, 1.1, and 1.2", "1.0 | 1.1 | 1.2", "1.0, 1.1 or 1.2", "Versions 1.0, 1.1, 1.2"] {
            let versions: Vec<_> = read(text).into_iter().map(|it| it.1).collect();
            assert_eq!(versions, ["1.0", "1.1", "1.2"], "{text}");
        }
    }

    #[test]
    fn every_version_has_its_spellings() {
        for text in ["vers:all/*", "All versions", "all", "*", "vers:npm/*", " ALL  VERSIONS "] {
            assert_eq!(parse(text), Range::All, "{text}");
        }
    }

    #[test]
    fn conditions_are_kept_as_written() {
        for text in [
            "All versions < V8.1 with WinCC V7.3 Upd 19",
            "<=the_first_5_digits_of_serial_number_22081",
            "<=B13__without_Special_Modification_Patch_1",
            ">= R4.01.00 | <= R4.07.00 (if RS4E5000 is installed)",
            "All versions <= V2.3.0 and Function State (FS) <= 3",
            "<= 4.11.00 (Versions removed from the scope of this advisory)",
        ] {
            assert_eq!(parse(text), Range::Conditional { text: text.to_owned() });
        }
    }

    #[test]
    fn what_is_not_a_range_is_not_read_as_one() {
        for text in [
            "",
            " ",
            "<",
            "<=",
            "< |",
            "No version",
            "<=W",
            "<April/20/2023",
            "<= 2019-09-21",
            "vers:",
            "vers:all",
            "vers:all/",
            "vers:none/*",
            "1.0 < ",
            "> 1.2 and earlier",
            "<= 4.1 | < january 20 2017.",
            "All versions V2",
            "< NVR 5.6 Build 595 T2-Patch",
            "1.0 to 2.0",
            "1.0 - 2.0",
            "up to 2.0",
            "1.0 through",
            "1.0 through 2.0 through 3.0",
            "< 1.0 through 2.0",
            "1.0,, 2.0",
            "vers:npm/>=1|",
            "vers:npm/%4",
        ] {
            assert_eq!(parse(text), Range::Unparsed { text: text.to_owned() });
        }
    }

    #[test]
    fn too_long_a_range_is_cut_and_not_read() {
        let text = format!("< {}", "1".repeat(MAX_RANGE_BYTES));
        let Range::Unparsed { text } = parse(&text) else { panic!("must not be read") };
        assert_eq!(text.len(), MAX_RANGE_BYTES);
        assert!(matches!(parse(&"1|".repeat(MAX_CONSTRAINTS + 1)), Range::Unparsed { .. }));
    }
}
