//! The few roots below which nearly every key of these facts is.

/// A key of group policy for the machine.
macro_rules! policy {
    ($path:literal) => {
        concat!(r"HKLM\SOFTWARE\Policies\Microsoft\", $path)
    };
}

/// A key of a service, or below it.
macro_rules! service {
    ($path:literal) => {
        concat!(r"HKLM\SYSTEM\CurrentControlSet\Services\", $path)
    };
}

/// A key of the control set.
macro_rules! control {
    ($path:literal) => {
        concat!(r"HKLM\SYSTEM\CurrentControlSet\Control\", $path)
    };
}

/// A key of Microsoft's software.
macro_rules! software {
    ($path:literal) => {
        concat!(r"HKLM\SOFTWARE\Microsoft\", $path)
    };
}

pub(super) use {control, policy, service, software};
