//! What was written: the schema, the layers it comes from and their merge, where
//! each value came from, and everything that is wrong with it.

pub mod diagnostic;
pub mod origin;
pub mod settings;
pub mod template;
pub mod unit;

pub use diagnostic::{Diagnostic, Severity};
pub use origin::{Origin, Placed};
pub use settings::{Config, Log, LogFormat, Shutdown, SignalRule, WaitPolicy};
pub use template::Template;
pub use unit::{
    After, Command, Condition, Form, Identity, OnFailure, Output, Stage, Stop, StopTo, Unit,
    UnitRef,
};
