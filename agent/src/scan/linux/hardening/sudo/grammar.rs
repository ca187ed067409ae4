//! The language of sudoers(5): one logical line at a time.

/// A line that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// `@include`, with whether it names a directory.
    Include { path: String, is_directory: bool },
    /// Aliases of one kind with their members.
    Aliases(Kind, Vec<(String, Vec<Item>)>),
    /// Settings, with whom they are for where it is not everybody ("op", "!/bin/ls", "@host").
    Defaults { scope: Option<String>, settings: Vec<Setting> },
    /// Who may run what, where.
    Rule { users: Vec<Item>, privileges: Vec<Privilege> },
}

/// What an alias stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    User,
    Runas,
    Host,
    Command,
}

/// A member of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) is_negative: bool,
    pub(super) text: String,
}

/// A setting of `Defaults`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) name: String,
    pub(super) is_negative: bool,
    /// With `=`, `+=` or `-=` as the first part.
    pub(super) value: Option<(&'static str, String)>,
}

/// Commands on some hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Privilege {
    pub(super) hosts: Vec<Item>,
    pub(super) commands: Vec<Command>,
}

/// A command with what holds for it; tags and users go on to the commands that follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) item: Item,
    pub(super) runas: Option<Runas>,
    pub(super) tags: Tags,
}

/// What stands between the parentheses: users, and after a colon groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Runas {
    pub(super) users: Vec<Item>,
    pub(super) groups: Vec<Item>,
}

/// Tags that are facts; `None` when none of the pair is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tags {
    pub(super) without_password: Option<bool>,
    pub(super) noexec: Option<bool>,
}

const ALIASES: [(&str, Kind); 5] = [
    ("User_Alias", Kind::User),
    ("Runas_Alias", Kind::Runas),
    ("Host_Alias", Kind::Host),
    ("Cmnd_Alias", Kind::Command),
    ("Cmd_Alias", Kind::Command),
];
const TAGS: [&str; 16] = [
    "PASSWD",
    "NOPASSWD",
    "EXEC",
    "NOEXEC",
    "FOLLOW",
    "NOFOLLOW",
    "LOG_INPUT",
    "NOLOG_INPUT",
    "LOG_OUTPUT",
    "NOLOG_OUTPUT",
    "MAIL",
    "NOMAIL",
    "INTERCEPT",
    "NOINTERCEPT",
    "SETENV",
    "NOSETENV",
];
const OPTIONS: [&str; 10] = [
    "ROLE",
    "TYPE",
    "PRIVS",
    "LIMITPRIVS",
    "APPARMOR_PROFILE",
    "NOTBEFORE",
    "NOTAFTER",
    "TIMEOUT",
    "CWD",
    "CHROOT",
];

type Parsed<T> = Result<T, &'static str>;

/// Lines after those that end with a backslash are joined, each with the number of its first.
pub(super) fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    // Whether the line is a comment, as soon as it says anything.
    let mut comment: Option<bool> = None;
    for (index, line) in text.lines().enumerate() {
        let backslashes = line.bytes().rev().take_while(|it| *it == b'\\').count();
        let ends = if backslashes % 2 == 1 { &line[..line.len() - 1] } else { line };
        match lines.last_mut() {
            Some((_, last)) if goes_on => last.push_str(ends),
            _ => {
                lines.push((index + 1, ends.to_owned()));
                comment = None;
            }
        }
        comment = comment.or_else(|| (!ends.trim_start().is_empty()).then(|| is_comment(ends)));
        // A comment does not go on.
        goes_on = backslashes % 2 == 1 && comment != Some(true);
    }
    lines
}

fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('#') && !line.starts_with("#include") && !is_number(&line[1..])
}

/// Whether a user id follows a `#`.
fn is_number(text: &str) -> bool {
    text.strip_prefix('-').unwrap_or(text).starts_with(|it: char| it.is_ascii_digit())
}

/// Reads a logical line; `None` for one that says nothing.
pub(super) fn read(line: &str) -> Option<Parsed<Line>> {
    let mut words = Words { rest: line };
    if words.at_end() {
        return None;
    }
    Some(words.line())
}

/// What is left of a line.
struct Words<'a> {
    rest: &'a str,
}

/// Where a word stands, which decides what ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    List,
    Hosts,
    HostAlias,
    Value,
}

impl Words<'_> {
    fn line(&mut self) -> Parsed<Line> {
        for (word, is_directory) in [("includedir", true), ("include", false)] {
            if let Some(rest) = self.rest.strip_prefix(['@', '#']).and_then(|it| it.strip_prefix(word))
                && rest.starts_with([' ', '\t'])
            {
                return include_path(rest).map(|path| Line::Include { path, is_directory });
            }
        }
        if let Some(rest) = self.rest.strip_prefix("Defaults")
            && rest.starts_with([' ', '\t', '@', ':', '!', '>'])
        {
            self.rest = rest;
            return self.defaults();
        }
        for (word, kind) in ALIASES {
            if let Some(rest) = self.rest.strip_prefix(word)
                && rest.starts_with([' ', '\t'])
            {
                self.rest = rest;
                return self.aliases(kind);
            }
        }
        let users = self.list(Place::List)?;
        let mut privileges = Vec::new();
        loop {
            let hosts = self.list(Place::Hosts)?;
            self.expect('=')?;
            privileges.push(Privilege { hosts, commands: self.commands()? });
            if self.ends()? {
                return Ok(Line::Rule { users, privileges });
            }
        }
    }

    fn aliases(&mut self, kind: Kind) -> Parsed<Line> {
        let mut aliases = Vec::new();
        loop {
            let name = self.word(Place::List)?;
            if !is_alias(&name) {
                return Err("not a name of an alias");
            }
            self.expect('=')?;
            let members = match kind {
                Kind::Command => self.commands()?.into_iter().map(|it| it.item).collect(),
                Kind::Host => self.list(Place::HostAlias)?,
                Kind::User | Kind::Runas => self.list(Place::List)?,
            };
            aliases.push((name, members));
            if self.ends()? {
                return Ok(Line::Aliases(kind, aliases));
            }
        }
    }

    /// Whether the line ends here; otherwise a colon has to follow.
    fn ends(&mut self) -> Parsed<bool> {
        if self.at_end() { Ok(true) } else { self.expect(':').map(|()| false) }
    }

    fn defaults(&mut self) -> Parsed<Line> {
        let mut scope = None;
        if let Some(mark) = self.rest.chars().next().filter(|it| matches!(it, '@' | ':' | '!' | '>')) {
            self.rest = &self.rest[1..];
            // Commands stand here without arguments.
            let items = self.list(Place::List)?;
            let mark = if mark == ':' { String::new() } else { mark.to_string() };
            scope = Some(format!("{mark}{}", joined(&items)));
        }
        let mut settings = Vec::new();
        loop {
            let is_negative = self.negations();
            let name = self.setting_name()?;
            let operator = ["+=", "-=", "="].into_iter().find(|it| self.rest.starts_with(it));
            let value = match operator {
                Some(operator) => {
                    self.rest = &self.rest[operator.len()..];
                    Some((operator, self.word(Place::Value)?))
                }
                None => None,
            };
            settings.push(Setting { name, is_negative, value });
            if self.at_end() {
                return Ok(Line::Defaults { scope, settings });
            }
            self.expect(',')?;
        }
    }

    fn setting_name(&mut self) -> Parsed<String> {
        self.blanks();
        let end =
            self.rest.find(|it: char| !it.is_ascii_alphanumeric() && it != '_').unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.blanks();
        if name.is_empty() { Err("not a name of a setting") } else { Ok(name.to_owned()) }
    }

    fn list(&mut self, place: Place) -> Parsed<Vec<Item>> {
        let mut items = Vec::new();
        loop {
            let is_negative = self.negations();
            items.push(Item { is_negative, text: self.word(place)? });
            if !self.takes(',') {
                return Ok(items);
            }
        }
    }

    fn commands(&mut self) -> Parsed<Vec<Command>> {
        let mut commands = Vec::new();
        let mut runas = None;
        let mut tags = Tags::default();
        loop {
            if self.takes('(') {
                runas = Some(self.runas()?);
            }
            self.options_and_tags(&mut tags)?;
            let is_negative = self.negations();
            let text = self.command()?;
            commands.push(Command { item: Item { is_negative, text }, runas: runas.clone(), tags });
            if !self.takes(',') {
                return Ok(commands);
            }
        }
    }

    fn runas(&mut self) -> Parsed<Runas> {
        let mut runas = Runas::default();
        self.blanks();
        if !self.rest.starts_with([':', ')']) {
            runas.users = self.list(Place::List)?;
        }
        if self.takes(':') {
            self.blanks();
            if !self.rest.starts_with(')') {
                runas.groups = self.list(Place::List)?;
            }
        }
        self.expect(')').map(|()| runas)
    }

    fn options_and_tags(&mut self, tags: &mut Tags) -> Parsed<()> {
        loop {
            self.blanks();
            let end =
                self.rest.find(|it: char| !it.is_ascii_uppercase() && it != '_').unwrap_or(self.rest.len());
            let (name, rest) = self.rest.split_at(end);
            let after = rest.trim_start_matches([' ', '\t']);
            if let Some(after) = after.strip_prefix(':').filter(|_| TAGS.contains(&name)) {
                match name {
                    "NOPASSWD" => tags.without_password = Some(true),
                    "PASSWD" => tags.without_password = Some(false),
                    "NOEXEC" => tags.noexec = Some(true),
                    "EXEC" => tags.noexec = Some(false),
                    _ => {}
                }
                self.rest = after;
            } else if let Some(after) = after.strip_prefix('=').filter(|_| OPTIONS.contains(&name)) {
                self.rest = after;
                self.word(Place::Value)?;
            } else {
                return Ok(());
            }
        }
    }

    /// A command with its arguments, or an alias, or `ALL`; digests before it belong to it.
    fn command(&mut self) -> Parsed<String> {
        self.blanks();
        let mut text = String::new();
        while let Some(digest) = self.digest()? {
            text.push_str(&digest);
            text.push(' ');
            if self.takes(',') {
                self.blanks();
            }
        }
        let start = text.len();
        self.blanks();
        let is_pattern = self.rest.starts_with('^');
        let mut is_held = false;
        let mut after = char::default();
        let mut length = 0;
        for (at, it) in self.rest.char_indices() {
            // An expression ends with a dollar sign before what ends a word.
            let is_inside = is_pattern && !(after == '$' && (it.is_whitespace() || it == ','));
            if is_held {
                // What the language itself needs is kept without the backslash.
                if !matches!(it, ':' | ',' | '=' | ' ' | '\t' | '#') || is_inside {
                    text.push('\\');
                }
                text.push(it);
                is_held = false;
            } else if it == '\\' {
                is_held = true;
            } else if matches!(it, ',' | ':' | '=' | '#' | '!' | '(' | ')') && !is_inside {
                // Within arguments only the first four end it.
                let is_argument = text[start..].contains([' ', '\t']);
                if !(is_argument && matches!(it, '!' | '(' | ')')) {
                    break;
                }
                text.push(it);
            } else {
                text.push(it);
            }
            after = it;
            length = at + it.len_utf8();
        }
        self.rest = &self.rest[length..];
        let text = text.trim_end();
        let name = text.get(start..).unwrap_or_default().split([' ', '\t']).next().unwrap_or_default();
        let has_arguments = text.len() > start + name.len();
        let is_command = name.starts_with(['/', '^', '*'])
            || matches!(name, "sudoedit" | "list")
            || (!has_arguments && is_alias(name));
        if is_command { Ok(text.to_owned()) } else { Err("not a command") }
    }

    fn digest(&mut self) -> Parsed<Option<String>> {
        let Some((bits, after)) = self.rest.strip_prefix("sha").and_then(|it| it.split_once(':')) else {
            return Ok(None);
        };
        let bytes = match bits {
            "224" => 28,
            "256" => 32,
            "384" => 48,
            "512" => 64,
            _ => return Ok(None),
        };
        let after = after.trim_start_matches([' ', '\t']);
        let (value, rest) = after.split_at(after.find([' ', '\t', ',']).unwrap_or(after.len()));
        // In hexadecimal or in base64, which may leave out its padding.
        let base64 = value.trim_end_matches('=').len();
        if value.len() != 2 * bytes && base64 != (8 * bytes).div_ceil(6) {
            return Err("not a digest");
        }
        self.rest = rest;
        self.blanks();
        Ok(Some(format!("sha{bits}:{value}")))
    }

    fn word(&mut self, place: Place) -> Parsed<String> {
        self.blanks();
        let mut word = String::new();
        let mut length = 0;
        let mut is_held = false;
        let mut quote = false;
        for (at, it) in self.rest.char_indices() {
            let is_name = place != Place::Value;
            let after_mark = is_name && matches!(word.as_str(), "" | "%" | "%:");
            let ends = match it {
                _ if is_held || quote => false,
                '#' => !after_mark || !is_number(&self.rest[at + 1..]),
                ':' => match place {
                    Place::Hosts | Place::Value => false,
                    Place::HostAlias => !is_address(&word, &self.rest[at + 1..]),
                    Place::List => word != "%",
                },
                '!' | '(' | ')' | '>' | '=' => is_name,
                ',' => true,
                it => it.is_whitespace(),
            };
            if ends {
                break;
            }
            length = at + it.len_utf8();
            match it {
                '\\' if !is_held => {
                    is_held = true;
                    continue;
                }
                '"' if !is_held => quote = !quote,
                it => word.push(it),
            }
            is_held = false;
        }
        if quote {
            return Err("a quote that does not end");
        }
        let is_empty = length == 0;
        self.rest = &self.rest[length..];
        if is_empty { Err("something is missing") } else { Ok(word) }
    }

    fn negations(&mut self) -> bool {
        let mut is_negative = false;
        while self.takes('!') {
            is_negative = !is_negative;
        }
        is_negative
    }

    fn expect(&mut self, it: char) -> Parsed<()> {
        if self.takes(it) { Ok(()) } else { Err("not as sudoers(5) has it") }
    }

    fn takes(&mut self, it: char) -> bool {
        self.blanks();
        match self.rest.strip_prefix(it) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r']);
    }

    fn at_end(&mut self) -> bool {
        self.blanks();
        let is_include = self.rest.starts_with("#include");
        self.rest.is_empty() || (self.rest.starts_with('#') && !is_include && !is_number(&self.rest[1..]))
    }
}

/// An address of IPv6 has colons of its own.
fn is_address(before: &str, after: &str) -> bool {
    const LONGEST: usize = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255".len();
    let is_hex = |it: char| it.is_ascii_hexdigit() || it == ':';
    before.len() <= LONGEST && before.chars().all(is_hex) && after.starts_with(is_hex)
}

/// The file after `@include`: quoted, or with backslashes before blanks.
fn include_path(rest: &str) -> Parsed<String> {
    let rest = rest.trim_matches([' ', '\t', '\r']);
    if let Some(quoted) = rest.strip_prefix('"') {
        return quoted.split_once('"').map(|it| it.0.to_owned()).ok_or("a quote that does not end");
    }
    let mut path = String::new();
    let mut characters = rest.chars();
    while let Some(it) = characters.next() {
        match it {
            '\\' => path.extend(characters.next()),
            ' ' | '\t' => break,
            it => path.push(it),
        }
    }
    if path.is_empty() { Err("no file is named") } else { Ok(path) }
}

/// Names of aliases are in capital letters.
pub(super) fn is_alias(name: &str) -> bool {
    name.starts_with(|it: char| it.is_ascii_uppercase())
        && name.chars().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit() || it == '_')
}

/// A list as it is written.
pub(super) fn joined(items: &[Item]) -> String {
    items.iter().map(Item::to_string).collect::<Vec<_>>().join(", ")
}

impl std::fmt::Display for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", if self.is_negative { "!" } else { "" }, self.text)
    }
}
