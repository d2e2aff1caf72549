//! Why something happened, as far as the engine decides nothing by it.

/// What `run/` has found out about the state of a unit. The engine keeps the last one of each unit,
/// and hands it on with facts; `words/` makes a sentence of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Detail {
    /// A reason in words, such as the result of the last attempt of a probe.
    Words(String),
    /// The interpreter that its program names, which does not exist.
    NoInterpreter(String),
    /// Only root could do it, and trc is not root.
    NotRoot,
    /// Where its script failed, for the end of a sentence: `at line 3: ...`.
    Place(String),
    /// The last `STATUS=` that it has sent: `sd_notify(3)`.
    Status(String),
    /// It has closed its notification descriptor without a newline.
    Closed,
    /// It has not written anything to its standard output, in which trc looks for a line.
    Silent,
}
