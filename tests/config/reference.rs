//! `docs/configuration.md` says what the schema says.

use trc::config::schema::{FORWARD, TOP, UNIT, reference};

#[test]
fn the_reference_is_that_of_the_schema() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
    let text = std::fs::read_to_string(path).unwrap();
    for (name, keys) in [("top", TOP), ("unit", UNIT), ("forward", FORWARD)] {
        let (begin, end) = (format!("<!-- keys: {name} -->\n"), "<!-- end -->");
        let (_, rest) = text.split_once(&begin).expect(name);
        let (table, _) = rest.split_once(end).expect(name);
        assert_eq!(table, reference(keys), "put this between the marks of {name} in {path}");
    }
}
