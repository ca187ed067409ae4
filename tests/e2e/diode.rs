//! A diode between two machines: real programs in name spaces of their own, on a line of which the rules are the
//! deployed ones. What is laid into one tray lies in the other at last, whatever the line does, and nothing
//! ever goes the other way.

#[path = "diode/ends.rs"]
mod ends;
#[path = "diode/faults.rs"]
mod faults;
#[path = "diode/hostile.rs"]
mod hostile;
#[path = "diode/line.rs"]
mod line;
#[path = "diode/one_way.rs"]
mod one_way;
#[path = "diode/survey.rs"]
mod survey;
