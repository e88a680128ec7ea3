//! Changes one value in the text of a settings file and leaves the owner's comments and order alone.

use toml_edit::{Array, DocumentMut, Item, TableLike};

use super::keys::{Key, Value};

/// The text with `key` set to `value`, or, with none, with the key left out: the default then counts.
/// None if the text is no TOML or has something else where the section should be.
pub fn set(text: &str, key: &Key, value: Option<&Value>) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    let (section, name) = key.name.split_once('.')?;
    let table = document
        .entry(section)
        .or_insert_with(toml_edit::table)
        .as_table_like_mut()?;
    match value {
        Some(value) => put(table, name, value),
        None => drop(table.remove(name)),
    }
    Some(document.to_string())
}

fn put(table: &mut dyn TableLike, name: &str, value: &Value) {
    let mut new: toml_edit::Value = match value {
        Value::Text(text) => text.as_str().into(),
        Value::Number(number) => i64::try_from(*number).unwrap_or(i64::MAX).into(),
        Value::List(items) => items.iter().collect::<Array>().into(),
    };
    match table.get_mut(name) {
        // Replaces the value alone, so that the comments around it stay.
        Some(Item::Value(old)) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        _ => drop(table.insert(name, Item::Value(new))),
    }
}
