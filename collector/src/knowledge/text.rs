//! Reading names as people wrote them: repairing damage, folding spellings, splitting into tokens.
//!
//! Everything here is for comparing in memory. What an advisory wrote stays as it wrote it, and
//! no similarity ever decides that two products are the same.

/// Words that say what kind of company it is and not which.
const LEGAL: [&str; 22] = [
    "ab",
    "ag",
    "as",
    "bv",
    "co",
    "company",
    "corp",
    "corporation",
    "gmbh",
    "inc",
    "incorporated",
    "kg",
    "limited",
    "llc",
    "ltd",
    "ltda",
    "nv",
    "oy",
    "plc",
    "sa",
    "sas",
    "srl",
];

/// What Windows-1252 has between 0x80 and 0x9f, where it differs from Latin-1.
const WINDOWS_1252: [(char, u8); 27] = [
    ('€', 0x80),
    ('‚', 0x82),
    ('ƒ', 0x83),
    ('„', 0x84),
    ('…', 0x85),
    ('†', 0x86),
    ('‡', 0x87),
    ('ˆ', 0x88),
    ('‰', 0x89),
    ('Š', 0x8a),
    ('‹', 0x8b),
    ('Œ', 0x8c),
    ('Ž', 0x8e),
    ('‘', 0x91),
    ('’', 0x92),
    ('“', 0x93),
    ('”', 0x94),
    ('•', 0x95),
    ('–', 0x96),
    ('—', 0x97),
    ('˜', 0x98),
    ('™', 0x99),
    ('š', 0x9a),
    ('›', 0x9b),
    ('œ', 0x9c),
    ('ž', 0x9e),
    ('Ÿ', 0x9f),
];

/// Repairs text whose UTF-8 was taken for a one-byte encoding and encoded again.
/// Text that is not damaged in this way comes back as it is.
pub fn repaired(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let bytes: Option<Vec<u8>> = text.chars().map(single_byte).collect();
    bytes.and_then(|it| String::from_utf8(it).ok()).unwrap_or_else(|| text.to_owned())
}

fn single_byte(c: char) -> Option<u8> {
    u8::try_from(u32::from(c))
        .ok()
        .or_else(|| WINDOWS_1252.iter().find(|(it, _)| *it == c).map(|&(_, byte)| byte))
}

/// Lower-case words of a name. A dot between digits belongs to the word: `v7.5`.
pub fn tokens(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut word = String::new();
    let lower = text.to_lowercase();
    let mut chars = lower.chars().peekable();
    while let Some(c) = chars.next() {
        let inner_dot = c == '.'
            && word.ends_with(|it: char| it.is_ascii_digit())
            && chars.peek().is_some_and(|it| it.is_ascii_digit() || *it == 'x');
        if c.is_alphanumeric() || inner_dot {
            word.push(c);
        } else if !word.is_empty() && !matches!(c, '®' | '™' | '\'') {
            found.push(std::mem::take(&mut word));
        }
    }
    if !word.is_empty() {
        found.push(word);
    }
    found
}

/// A name without case, punctuation and doubled blanks.
pub fn folded(text: &str) -> String {
    tokens(text).join(" ")
}

/// A company's name without case, punctuation and legal form; never empty unless the name is.
pub fn folded_vendor(text: &str) -> String {
    let words = tokens(text);
    let kept: Vec<&str> = words.iter().map(String::as_str).filter(|it| !LEGAL.contains(it)).collect();
    if kept.is_empty() { words.join(" ") } else { kept.join(" ") }
}

/// The product line that a name states (`V7.5`, `V16`, `V4.X`) as its numbers; a trailing `X` is left out.
/// `None` when it states none.
pub fn line(name: &str) -> Option<Vec<u64>> {
    tokens(name).iter().find_map(|token| {
        let digits = token.strip_prefix('v')?;
        numbers(digits).filter(|it| !it.is_empty())
    })
}

/// Leading numbers of a version text: `V7.5 SP2` is `[7, 5]`. Empty when it does not begin with a number.
pub fn leading_numbers(version: &str) -> Vec<u64> {
    let text = version.trim_start().trim_start_matches(['v', 'V']);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text[..end].split('.').map_while(|it| it.parse().ok()).collect()
}

fn numbers(dotted: &str) -> Option<Vec<u64>> {
    let dotted = dotted.strip_suffix(".x").unwrap_or(dotted);
    dotted.split('.').map(|it| it.parse().ok()).collect()
}

/// Text of a peer or a file in one printable line of at most `max` characters.
pub fn shown(text: &str, max: usize) -> String {
    let mut line: String =
        text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(max + 1).collect();
    if line.chars().count() > max {
        line.pop();
        line.pop();
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_was_encoded_twice_is_repaired_and_other_text_is_left_alone() {
        assert_eq!(repaired("LCDS - LeÃ£o"), "LCDS - Leão");
        assert_eq!(repaired("GeutebrÃ¼ck"), "Geutebrück");
        assert_eq!(repaired("Geutebrück"), "Geutebrück");
        assert_eq!(repaired("C●CURE 9000"), "C●CURE 9000");
        assert_eq!(repaired("Siemens"), "Siemens");
    }

    #[test]
    fn spellings_of_a_company_fold_to_one() {
        for spelling in ["OSIsoft, LLC", "OSIsoft LLC", "osisoft llc.", "OSIsoft"] {
            assert_eq!(folded_vendor(spelling), "osisoft", "{spelling}");
        }
        assert_ne!(folded_vendor("Schneider Electric Software, LLC"), folded_vendor("Schneider Electric"));
        assert_eq!(folded_vendor("AG"), "ag", "something is always left");
    }

    #[test]
    fn a_line_is_read_only_where_a_name_states_one() {
        assert_eq!(line("SIMATIC WinCC V7.5"), Some(vec![7, 5]));
        assert_eq!(line("TIA Portal V16"), Some(vec![16]));
        assert_eq!(line("RUGGEDCOM RSG2300 V4.X"), Some(vec![4]));
        assert_eq!(line("SIMATIC S7-1500"), None);
        assert_eq!(line("Vijeo Citect"), None);
        assert_eq!(leading_numbers("V7.5 SP2"), [7, 5]);
        assert_eq!(leading_numbers("16.0.0.6"), [16, 0, 0, 6]);
        assert!(leading_numbers("SE2020").is_empty());
    }

    #[test]
    fn shown_text_is_one_bounded_line() {
        assert_eq!(shown("a\nb\u{1b}[0m", 10), "a b [0m");
        assert_eq!(shown(&"x".repeat(50), 10).chars().count(), 10);
    }
}
