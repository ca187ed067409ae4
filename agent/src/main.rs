//! `holdpoint-agent`: arguments, exit code, error chain; nothing else.

fn main() -> std::process::ExitCode {
    holdpoint_agent::command::main()
}
