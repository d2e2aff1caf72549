//! A serde serializer that writes the types of the reports as JSON.
//!
//! PID 1 would need only this much of `serde_json`. The serializer supports what the reports are
//! made of, and refuses everything else ([`Unsupported`]), which a test would find.

use std::fmt::{self, Display, Write as _};

use serde::ser::{self, Impossible, Serialize, SerializeSeq, SerializeStruct};

use super::quoted;

/// Returns a value as JSON, in one line or indented, without a newline at the end.
pub(super) fn text(value: &impl Serialize, lines: bool) -> String {
    let mut to = String::new();
    let done = value.serialize(Writer { to: &mut to, indent: lines.then_some(0) });
    debug_assert!(done.is_ok(), "{done:?}");
    to
}

/// The error for a type that no report has.
#[derive(Debug)]
pub(super) struct Unsupported;

impl Display for Unsupported {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("not a part of any report")
    }
}

impl std::error::Error for Unsupported {}

impl ser::Error for Unsupported {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

type Done = Result<(), Unsupported>;

/// The serializer of one value.
struct Writer<'a> {
    to: &'a mut String,
    /// The indentation, if each part has a line of its own.
    indent: Option<usize>,
}

/// The serializer of an array or an object.
struct Parts<'a> {
    to: &'a mut String,
    /// The indentation of its parts.
    indent: Option<usize>,
    end: char,
    begun: bool,
}

impl<'a> Writer<'a> {
    fn plain(self, text: impl Display) -> Done {
        write!(self.to, "{text}").map_err(|_| Unsupported)
    }

    fn parts(self, begin: char, end: char) -> Parts<'a> {
        self.to.push(begin);
        Parts { to: self.to, indent: self.indent.map(|indent| indent + 2), end, begun: false }
    }
}

impl Parts<'_> {
    fn next(&mut self) -> Writer<'_> {
        if self.begun {
            self.to.push(',');
        }
        self.begun = true;
        if let Some(indent) = self.indent {
            _ = write!(self.to, "\n{:indent$}", "");
        }
        Writer { to: self.to, indent: self.indent }
    }

    fn close(self) {
        if let Some(indent) = self.indent.filter(|_| self.begun) {
            let indent = indent - 2;
            _ = write!(self.to, "\n{:indent$}", "");
        }
        self.to.push(self.end);
    }
}

impl SerializeSeq for Parts<'_> {
    type Ok = ();
    type Error = Unsupported;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        value.serialize(self.next())
    }

    fn end(self) -> Done {
        self.close();
        Ok(())
    }
}

impl SerializeStruct for Parts<'_> {
    type Ok = ();
    type Error = Unsupported;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Done {
        let Writer { to, indent } = self.next();
        to.push_str(&quoted(key));
        to.push_str(if indent.is_some() { ": " } else { ":" });
        value.serialize(Writer { to, indent })
    }

    fn end(self) -> Done {
        self.close();
        Ok(())
    }
}

/// The types that no report has.
macro_rules! unsupported {
    ($($name:ident($($type:ty),*);)*) => {
        $(fn $name(self, $(_: $type),*) -> Done { Err(Unsupported) })*
    };
}

impl<'a> ser::Serializer for Writer<'a> {
    type Ok = ();
    type Error = Unsupported;
    type SerializeSeq = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeTuple = Impossible<(), Unsupported>;
    type SerializeTupleStruct = Impossible<(), Unsupported>;
    type SerializeTupleVariant = Impossible<(), Unsupported>;
    type SerializeMap = Impossible<(), Unsupported>;
    type SerializeStructVariant = Impossible<(), Unsupported>;

    fn serialize_bool(self, value: bool) -> Done {
        self.plain(value)
    }

    fn serialize_u8(self, value: u8) -> Done {
        self.plain(value)
    }

    fn serialize_u32(self, value: u32) -> Done {
        self.plain(value)
    }

    fn serialize_u64(self, value: u64) -> Done {
        self.plain(value)
    }

    fn serialize_str(self, value: &str) -> Done {
        self.plain(quoted(value))
    }

    fn serialize_none(self) -> Done {
        self.plain("null")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Done {
        self.serialize_str(name)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, of: &T) -> Done {
        of.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'a>, Unsupported> {
        Ok(self.parts('[', ']'))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Unsupported> {
        Ok(self.parts('{', '}'))
    }

    unsupported! {
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_u16(u16);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_bytes(&[u8]);
        serialize_unit();
        serialize_unit_struct(&'static str);
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Done {
        Err(Unsupported)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Unsupported> {
        Err(Unsupported)
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Unsupported> {
        Err(Unsupported)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Unsupported> {
        Err(Unsupported)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Unsupported> {
        Err(Unsupported)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Unsupported> {
        Err(Unsupported)
    }
}
