//! One line of `sshd_config`, split as OpenSSH splits it (`strdelim`, then `argv_split`).

/// A line that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// In lower case.
    pub(super) keyword: String,
    pub(super) arguments: Vec<String>,
}

/// Reads a line; `None` for one that says nothing.
pub(super) fn read(line: &str) -> Option<Result<Line, &'static str>> {
    let line = line.trim_matches(is_blank);
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (keyword, rest) = keyword_of(line);
    if keyword.is_empty() {
        return Some(Err("no keyword"));
    }
    let arguments = match arguments(rest) {
        Ok(arguments) if arguments.is_empty() => return Some(Err("a keyword without a value")),
        Ok(arguments) => arguments,
        Err(why) => return Some(Err(why)),
    };
    Some(Ok(Line { keyword: keyword.to_ascii_lowercase(), arguments }))
}

fn is_blank(it: char) -> bool {
    matches!(it, ' ' | '\t' | '\r' | '\n' | '\x0c')
}

/// Between a keyword and its value stand blanks and at most one `=`. A keyword may be quoted.
fn keyword_of(line: &str) -> (&str, &str) {
    let (keyword, rest) = match line.strip_prefix('"').and_then(|it| it.split_once('"')) {
        Some(quoted) => quoted,
        None => line.split_at(line.find(|it| is_blank(it) || it == '=' || it == '"').unwrap_or(line.len())),
    };
    let rest = rest.trim_start_matches(is_blank);
    (keyword, rest.strip_prefix('=').unwrap_or(rest).trim_start_matches(is_blank))
}

/// Splits at blanks. Quotes of both kinds hold blanks, a backslash holds a quote, itself or a
/// blank, and an argument that starts with `#` ends the line.
fn arguments(text: &str) -> Result<Vec<String>, &'static str> {
    let mut arguments = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        while rest.next_if(|it| is_blank(*it)).is_some() {}
        if rest.peek().is_none_or(|it| *it == '#') {
            return Ok(arguments);
        }
        let mut argument = String::new();
        let mut quote = None;
        while let Some(it) = rest.next_if(|it| quote.is_some() || !is_blank(*it)) {
            match (it, quote, rest.peek().copied()) {
                ('\\', None, Some(held @ ('\'' | '"' | '\\' | ' ')))
                | ('\\', Some(_), Some(held @ ('\'' | '"' | '\\'))) => {
                    argument.push(held);
                    rest.next();
                }
                ('\'' | '"', None, _) => quote = Some(it),
                (it, Some(open), _) if it == open => quote = None,
                (it, _, _) => argument.push(it),
            }
        }
        if quote.is_some() {
            return Err("a quote that does not end");
        }
        arguments.push(argument);
    }
}

/// Reads a time as OpenSSH does: seconds, or numbers with `s m h d w`, added up.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let mut total: i64 = 0;
    let mut number = String::new();
    if text.is_empty() {
        return None;
    }
    for it in text.chars() {
        let unit = match it {
            '0'..='9' => {
                number.push(it);
                continue;
            }
            's' | 'S' => 1,
            'm' | 'M' => 60,
            'h' | 'H' => 3_600,
            'd' | 'D' => 86_400,
            'w' | 'W' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(unit)?)?;
        number.clear();
    }
    if !number.is_empty() {
        total = total.checked_add(number.parse().ok()?)?;
    }
    // OpenSSH keeps it in an `int`.
    i32::try_from(total).is_ok().then_some(total)
}

/// Whether a name fits a pattern of glob(7); a leading dot has to be written.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    if name.first() == Some(&'.') && pattern.first() != Some(&'.') {
        return false;
    }
    // The last star is the only one that has to be tried again, so the work is bounded by the product.
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < name.len() {
        match one(&pattern[at..], name[read]) {
            Step::Fits(width) => {
                at += width;
                read += 1;
            }
            Step::Star => {
                star = Some((at + 1, read));
                at += 1;
            }
            Step::Differs => match star {
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    at = after;
                    read = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|it| *it == '*')
}

enum Step {
    Fits(usize),
    Star,
    Differs,
}

/// What the first thing of a pattern says about one character.
fn one(pattern: &[char], it: char) -> Step {
    let fits = |is_fit: bool, width| if is_fit { Step::Fits(width) } else { Step::Differs };
    match pattern {
        [] => Step::Differs,
        ['*', ..] => Step::Star,
        ['?', ..] => Step::Fits(1),
        ['\\', held, ..] => fits(*held == it, 2),
        ['[', set @ ..] => match set_fits(set, it) {
            Some((is_fit, width)) => fits(is_fit, width + 1),
            None => fits(it == '[', 1),
        },
        [first, ..] => fits(*first == it, 1),
    }
}

/// Whether a character is in a `[...]` set, and how wide the set is after its bracket.
fn set_fits(set: &[char], it: char) -> Option<(bool, usize)> {
    let is_negative = matches!(set.first(), Some('!' | '^'));
    let start = usize::from(is_negative);
    // A bracket that comes first belongs to the set.
    let end = start + 1 + set.get(start + 1..)?.iter().position(|it| *it == ']')?;
    let mut members = &set[start..end];
    let mut is_member = false;
    while let Some((first, rest)) = members.split_first() {
        members = match rest {
            ['-', last, rest @ ..] => {
                is_member |= (*first..=*last).contains(&it);
                rest
            }
            rest => {
                is_member |= *first == it;
                rest
            }
        };
    }
    Some((is_member != is_negative, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> (String, Vec<String>) {
        let line = read(line).unwrap().unwrap();
        (line.keyword, line.arguments)
    }

    #[test]
    fn blanks_equal_signs_quotes_and_comments_are_read_as_openssh_does() {
        for (line, keyword, arguments) in [
            ("PermitRootLogin no", "permitrootlogin", &["no"][..]),
            ("  port=22", "port", &["22"]),
            ("Port = 22 # comment", "port", &["22"]),
            ("\"Port\" 22", "port", &["22"]),
            ("AllowUsers a \"b c\" 'd'e\\ f", "allowusers", &["a", "b c", "de f"]),
            ("Banner \"/etc/a\\\"b\"", "banner", &["/etc/a\"b"]),
            ("Banner x#y", "banner", &["x#y"]),
            ("UsePAM\tyes\r", "usepam", &["yes"]),
            ("Banner \"\"", "banner", &[""]),
        ] {
            assert_eq!(
                said(line),
                (keyword.to_owned(), arguments.iter().map(|it| (*it).to_owned()).collect())
            );
        }
        for silent in ["", "   ", "# Port 22", "\t#"] {
            assert!(read(silent).is_none(), "{silent}");
        }
        for broken in ["Port", "Banner \"x", "Port #22", "= 22"] {
            assert!(read(broken).unwrap().is_err(), "{broken}");
        }
    }

    #[test]
    fn times_add_up() {
        for (text, expected) in [
            ("2m", Some(120)),
            ("1h30m", Some(5_400)),
            ("90", Some(90)),
            ("1w", Some(604_800)),
            ("0", Some(0)),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
        for text in ["", "m", "-1", "1x", "99999999999999999999", "99999w"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn patterns_are_those_of_the_shell() {
        for (pattern, name) in [
            ("*.conf", "10-a.conf"),
            ("?0-*", "10-a"),
            ("[0-9]*", "7x"),
            ("[!a]*", "b"),
            ("[]]", "]"),
            ("a*b*c", "aXbYbc"),
            ("\\*", "*"),
            ("[", "["),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*.conf", ".conf"),
            ("*.conf", "a.conf~"),
            ("[a-c]", "d"),
            ("?", ""),
            ("a", "ab"),
            ("[!a]", "a"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }
}
