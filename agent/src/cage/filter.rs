//! System call filters as programs for the kernel's filter machine (classic BPF, seccomp(2)).
//!
//! Written here and not taken from a library for three reasons: one program answers different calls
//! with different errors (a C library falls back on ENOSYS and reports EPERM), the x32 numbers of
//! `x86_64` are refused, which would otherwise lead past every rule, and a pure assembler is tested
//! on every OS by running its programs.
//!
//! No call kills the process: a surprise becomes an error with a path to it in the log or in a
//! section's reasons. A call that is newer than this filter is answered as an older kernel would.

/// One instruction, as `struct sock_filter` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) code: u16,
    pub(crate) when_true: u8,
    pub(crate) when_false: u8,
    pub(crate) value: u32,
}

/// The error that a refused call gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// EPERM: not allowed here.
    Refused,
    /// ENOSYS: not there; callers have an older way.
    Missing,
}

/// When a call is let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unless {
    /// Never.
    Never,
    /// All these bits of the argument are clear.
    Clear(u8, u32),
    /// One of these bits of the argument is set.
    Set(u8, u32),
    /// The argument has one of these values.
    OneOf(u8, &'static [u32]),
    /// The argument has none of these values.
    NoneOf(u8, &'static [u32]),
    /// The argument has this value.
    Is(u8, u32),
    /// The argument is a null pointer.
    Null(u8),
}

/// A call and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) call: u32,
    pub(crate) answer: Answer,
    pub(crate) unless: Unless,
}

/// What a filter needs to know of the machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine {
    /// `AUDIT_ARCH_...` of the one calling convention that is served.
    pub(crate) arch: u32,
    /// The first number that this version does not know.
    pub(crate) unknown_from: u32,
}

const LOAD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_AT_LEAST: u16 = 0x35;
const JUMP_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

/// Places in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;
const ARGUMENT_BYTES: u32 = 8;

const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// Assembles a filter. Calls that no rule names are let through.
pub(crate) fn assemble(machine: Machine, rules: &[Rule]) -> Vec<Instruction> {
    let mut program = vec![
        load(ARCH),
        jump(JUMP_EQUAL, machine.arch, 1, 0),
        refuse(Answer::Missing),
        load(NUMBER),
        // Calls of another convention (x32) have numbers far above.
        jump(JUMP_AT_LEAST, machine.unknown_from, 0, 1),
        refuse(Answer::Missing),
    ];
    for rule in rules {
        let body = body(rule);
        let length = u8::try_from(body.len()).unwrap_or(u8::MAX);
        program.push(jump(JUMP_EQUAL, rule.call, 0, length));
        program.extend(body);
    }
    program.push(give(ALLOW));
    program
}

/// What follows when the number fits; it always ends, because the number is loaded no more.
fn body(rule: &Rule) -> Vec<Instruction> {
    let low = |argument: u8| load(ARGUMENTS + u32::from(argument) * ARGUMENT_BYTES + LOW_HALF);
    let high = |argument: u8| load(ARGUMENTS + u32::from(argument) * ARGUMENT_BYTES + (4 - LOW_HALF));
    let (refuse, allow) = (refuse(rule.answer), give(ALLOW));
    match rule.unless {
        Unless::Never => vec![refuse],
        Unless::Clear(at, bits) => vec![low(at), jump(JUMP_ANY_BIT, bits, 0, 1), refuse, allow],
        Unless::Set(at, bits) => vec![low(at), jump(JUMP_ANY_BIT, bits, 1, 0), refuse, allow],
        Unless::Is(at, value) => vec![low(at), jump(JUMP_EQUAL, value, 1, 0), refuse, allow],
        Unless::OneOf(at, values) => one_of(low(at), values, allow, refuse),
        Unless::NoneOf(at, values) => one_of(low(at), values, refuse, allow),
        Unless::Null(at) => {
            vec![low(at), jump(JUMP_EQUAL, 0, 0, 2), high(at), jump(JUMP_EQUAL, 0, 1, 0), refuse, allow]
        }
    }
}

fn one_of(load: Instruction, values: &[u32], then: Instruction, otherwise: Instruction) -> Vec<Instruction> {
    let tests = values.iter().flat_map(|it| [jump(JUMP_EQUAL, *it, 0, 1), then]);
    [load].into_iter().chain(tests).chain([otherwise]).collect()
}

/// Where the lower half of an argument lies.
const LOW_HALF: u32 = if cfg!(target_endian = "little") { 0 } else { 4 };

const fn load(place: u32) -> Instruction {
    Instruction { code: LOAD, when_true: 0, when_false: 0, value: place }
}

const fn jump(code: u16, value: u32, when_true: u8, when_false: u8) -> Instruction {
    Instruction { code, when_true, when_false, value }
}

const fn give(value: u32) -> Instruction {
    Instruction { code: RETURN, when_true: 0, when_false: 0, value }
}

const fn refuse(answer: Answer) -> Instruction {
    give(
        ERRNO
            | match answer {
                Answer::Refused => EPERM,
                Answer::Missing => ENOSYS,
            },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MACHINE: Machine = Machine { arch: 0xc000_003e, unknown_from: 463 };

    /// The kernel's machine, as far as filters use it.
    fn run(program: &[Instruction], arch: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let mut data = Vec::new();
        data.extend(number.to_ne_bytes());
        data.extend(arch.to_ne_bytes());
        data.extend(0_u64.to_ne_bytes());
        data.extend(arguments.iter().flat_map(|it| it.to_ne_bytes()));
        let (mut at, mut loaded) = (0, 0_u32);
        loop {
            let Instruction { code, when_true, when_false, value } = program[at];
            at += 1;
            let holds = match code {
                LOAD => {
                    let place = usize::try_from(value).unwrap();
                    loaded = u32::from_ne_bytes(data[place..place + 4].try_into().unwrap());
                    continue;
                }
                RETURN => return value,
                JUMP_EQUAL => loaded == value,
                JUMP_AT_LEAST => loaded >= value,
                JUMP_ANY_BIT => loaded & value != 0,
                other => panic!("no such instruction: {other}"),
            };
            at += usize::from(if holds { when_true } else { when_false });
        }
    }

    fn rule(call: u32, unless: Unless) -> Rule {
        Rule { call, answer: Answer::Refused, unless }
    }

    fn answer(unless: Unless, arguments: [u64; 6]) -> u32 {
        let rules = [rule(6, Unless::Never), rule(7, unless), rule(8, Unless::Never)];
        run(&assemble(MACHINE, &rules), MACHINE.arch, 7, arguments)
    }

    #[test]
    fn a_call_is_refused_or_said_to_be_missing_and_others_pass() {
        let rules =
            [rule(59, Unless::Never), Rule { call: 435, answer: Answer::Missing, unless: Unless::Never }];
        let program = assemble(MACHINE, &rules);
        let run = |number| run(&program, MACHINE.arch, number, [0; 6]);
        assert_eq!((run(59), run(435)), (ERRNO | EPERM, ERRNO | ENOSYS));
        assert_eq!((run(0), run(58), run(60), run(462)), (ALLOW, ALLOW, ALLOW, ALLOW));
    }

    #[test]
    fn no_other_convention_and_no_newer_call_leads_past_the_rules() {
        let program = assemble(MACHINE, &[rule(59, Unless::Never)]);
        assert_eq!(run(&program, 0x4000_0003, 11, [0; 6]), ERRNO | ENOSYS, "32-bit execve");
        for number in [0x4000_0000 + 520, 463, u32::MAX] {
            assert_eq!(run(&program, MACHINE.arch, number, [0; 6]), ERRNO | ENOSYS, "{number}");
        }
    }

    #[test]
    fn arguments_decide_where_they_shall() {
        let at = |place: usize, value: u64| {
            let mut arguments = [u64::MAX; 6];
            arguments[place] = value;
            arguments
        };
        let refused = ERRNO | EPERM;
        assert_eq!(answer(Unless::Clear(2, 0b11), at(2, 0b100)), ALLOW);
        assert_eq!(answer(Unless::Clear(2, 0b11), at(2, 0b101)), refused);
        assert_eq!(answer(Unless::Set(0, 0b100), at(0, 0b110)), ALLOW);
        assert_eq!(answer(Unless::Set(0, 0b100), at(0, 0b011)), refused);
        assert_eq!(answer(Unless::OneOf(0, &[1, 16]), at(0, 16)), ALLOW);
        assert_eq!(answer(Unless::OneOf(0, &[1, 16]), at(0, 2)), refused);
        assert_eq!(answer(Unless::NoneOf(1, &[5, 6]), at(1, 6)), refused);
        assert_eq!(answer(Unless::NoneOf(1, &[5, 6]), at(1, 7)), ALLOW);
        assert_eq!(answer(Unless::Is(0, 99), at(0, 99)), ALLOW);
        assert_eq!(answer(Unless::Is(0, 99), at(0, 98)), refused);
        assert_eq!(answer(Unless::Null(2), at(2, 0)), ALLOW);
        assert_eq!(answer(Unless::Null(2), at(2, 1)), refused);
        assert_eq!(answer(Unless::Null(2), at(2, 1 << 32)), refused);
    }

    proptest! {
        #[test]
        fn every_program_ends_within_itself(number: u32, arch: u32, arguments: [u64; 6]) {
            let rules: Vec<Rule> = [
                Unless::Never,
                Unless::Clear(1, 3),
                Unless::OneOf(0, &[1, 16]),
                Unless::NoneOf(1, &[2, 3, 4]),
                Unless::Null(2),
            ]
            .into_iter()
            .zip(0..)
            .map(|(unless, call)| rule(call, unless))
            .collect();
            let program = assemble(MACHINE, &rules);
            for arch in [arch, MACHINE.arch] {
                for number in [number, number % 8] {
                    let answer = run(&program, arch, number, arguments);
                    prop_assert!([ALLOW, ERRNO | EPERM, ERRNO | ENOSYS].contains(&answer));
                }
            }
        }
    }
}
