//! The formats of tables with captions.

use serde_json::Value;

use residua_core::text::some_of;

/// A path as written in a table, and its caption, if any.
type Row = (String, Option<String>);

/// Parses a table; the error is a message.
type Parse = fn(&str) -> Result<Vec<Row>, String>;

/// Tables with captions. If several describe a picture, the first one wins.
pub(super) const TABLES: [(&str, Parse); 5] = [
    ("captions.tsv", tabbed),
    ("metadata.jsonl", json),
    ("metadata.csv", comma_separated),
    ("train_list.txt", listed),
    (VALIDATION, listed),
];

/// The table of pictures to hold out.
pub(super) const VALIDATION: &str = "val_list.txt";

/// Column names in tables: paths and captions of pictures.
const PATHS: [&str; 4] = ["file_name", "filename", "image", "path"];
const CAPTIONS: [&str; 4] = ["text", "caption", "captions", "prompt"];
/// Column separators, the usual one first: which one a spreadsheet writes depends on the user's country.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

/// The rows of a table, and whether its last line was left out because it is cut off: it does not end, and
/// only it is wrong.
pub(super) fn whole_rows(text: &str, parse: Parse) -> Result<(Vec<Row>, bool), String> {
    let wrong = match parse(text) {
        Ok(rows) => return Ok((rows, false)),
        Err(wrong) => wrong,
    };
    let before = text.rsplit_once('\n').filter(|(_, last)| !last.is_empty());
    match before.map(|(before, _)| parse(before)) {
        Some(Ok(rows)) if !rows.is_empty() => Ok((rows, true)),
        _ => Err(wrong),
    }
}

/// Lists without tabs are of something else, such as classes.
fn listed(text: &str) -> Result<Vec<Row>, String> {
    if text.contains('\t') { tabbed(text) } else { Ok(Vec::new()) }
}

fn tabbed(text: &str) -> Result<Vec<Row>, String> {
    rows(text, |line| {
        let (path, caption) = line.split_once('\t')?;
        Some((path.into(), Some(caption.into())))
    })
}

fn json(text: &str) -> Result<Vec<Row>, String> {
    let all = rows(text, |line| {
        let row: Value = serde_json::from_str(line).ok()?;
        let path = PATHS.iter().find_map(|name| row[name].as_str().map(String::from))?;
        Some((path, CAPTIONS.iter().find_map(|name| texts(&row[name])).unwrap_or_default()))
    })?;
    let each = |(path, captions): (String, Vec<String>)| {
        if captions.is_empty() {
            vec![(path, None)]
        } else {
            captions.into_iter().map(|caption| (path.clone(), Some(caption))).collect()
        }
    };
    Ok(all.into_iter().flat_map(each).collect())
}

/// A text, or all of a list.
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(texts) => texts.iter().map(|text| text.as_str().map(String::from)).collect(),
        _ => None,
    }
}

/// Parses each line that is not blank.
fn rows<T>(text: &str, parse: fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let row = |(number, line)| parse(line).ok_or(format!("line {} is not a file with a caption", number + 1));
    lines.map(row).collect()
}

fn comma_separated(text: &str) -> Result<Vec<Row>, String> {
    let first = text.lines().next().unwrap_or_default().as_bytes();
    let separator = SEPARATORS.into_iter().find(|separator| first.contains(separator)).unwrap_or(b',');
    let mut reader = csv::ReaderBuilder::new();
    let mut table = reader.trim(csv::Trim::All).delimiter(separator).from_reader(text.as_bytes());
    let header = table.headers().map_err(|error| wrong_row(&error))?.clone();
    if header.is_empty() {
        return Ok(Vec::new());
    }
    let column = |names: &[&str]| {
        names.iter().find_map(|name| header.iter().position(|column| column.eq_ignore_ascii_case(name)))
    };
    let Some(path) = column(&PATHS) else {
        let found = some_of(&header.iter().map(String::from).collect::<Vec<_>>());
        return Err(format!("expected the columns file_name and text, found {found}"));
    };
    let caption = column(&CAPTIONS);
    let row = |record: csv::Result<csv::StringRecord>| -> Result<Row, String> {
        let record = record.map_err(|error| wrong_row(&error))?;
        let field = |column: usize| record.get(column).unwrap_or_default().to_string();
        Ok((field(path), caption.map(field)))
    };
    table.records().map(row).collect()
}

/// A message about a row whose values do not match the columns.
fn wrong_row(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos: Some(place), expected_len, len } => format!(
            "line {}, column {}: expected {expected_len} values, as in the first line, found {len}; put values with commas in double quotes",
            place.line(),
            1 + (*len).min(*expected_len)
        ),
        _ => format!("not a table of comma-separated values: {error}"),
    }
}
