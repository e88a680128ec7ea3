//! A table of typed columns, and its two encodings: CSV and Parquet. This file alone names those libraries.
//!
//! What is absent stays absent: an empty field, a null. The same table gives the same bytes.

use super::ResultsError;
use super::folder::encode;
use super::row::{Params, Value};
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// The figures of a column; all columns of a table are equally long.
#[derive(Clone, Debug, PartialEq)]
pub enum Figures {
    /// Yes or no.
    Bool(Vec<Option<bool>>),
    /// Whole numbers.
    Integer(Vec<Option<i64>>),
    /// Whole numbers without a sign: seeds use all bits.
    Unsigned(Vec<Option<u64>>),
    /// Any numbers; what is not finite counts as absent.
    Float(Vec<Option<f64>>),
    /// Texts.
    Text(Vec<Option<String>>),
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    columns: Vec<(String, Figures)>,
}

impl Table {
    /// Adds a column; if its name is taken, as `prefix.name`.
    pub fn push(&mut self, prefix: &str, name: &str, figures: Figures) {
        let taken: BTreeSet<&str> = self.columns.iter().map(|(n, _)| n.as_str()).collect();
        let mut name = name.to_owned();
        while taken.contains(name.as_str()) {
            name = format!("{prefix}.{name}");
        }
        self.columns.push((name, figures));
    }

    /// Adds a column per parameter of any of `lines`, typed by all of its values.
    pub fn push_params(&mut self, lines: &[&Params]) {
        let names: BTreeSet<&String> = lines.iter().flat_map(|p| p.keys()).collect();
        for name in names {
            let values: Vec<_> = lines.iter().map(|p| p.get(name)).collect();
            self.push("param", name, typed(&values));
        }
    }

    /// As CSV (RFC 4180, but with `\n`), with a heading.
    pub fn csv(&self, path: &Path) -> Result<Vec<u8>, ResultsError> {
        let failed = |e: csv::Error| encode(path, e);
        let mut writer = csv::Writer::from_writer(Vec::new());
        let names = self.columns.iter().map(|(name, _)| name);
        writer.write_record(names).map_err(failed)?;
        for line in 0..self.len() {
            let fields = self.columns.iter().map(|(_, figures)| figures.field(line));
            writer.write_record(fields).map_err(failed)?;
        }
        writer.into_inner().map_err(|e| encode(path, e))
    }

    /// As Parquet: one row group, Snappy, every column optional.
    pub fn parquet(&self, path: &Path) -> Result<Vec<u8>, ResultsError> {
        self.encode_parquet().map_err(|e| encode(path, e))
    }

    fn len(&self) -> usize {
        self.columns.first().map_or(0, |(_, figures)| figures.len())
    }

    fn encode_parquet(&self) -> Result<Vec<u8>, ParquetError> {
        let fields = self.columns.iter().map(|(name, figures)| {
            let field = Type::primitive_type_builder(name, figures.physical())
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(figures.logical());
            field.build().map(Arc::new)
        });
        let fields = fields.collect::<Result<_, _>>()?;
        let schema = Type::group_type_builder("row")
            .with_fields(fields)
            .build()?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY);
        let mut file =
            SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties.build()))?;
        let mut group = file.next_row_group()?;
        for (_, figures) in &self.columns {
            let Some(mut column) = group.next_column()? else {
                break;
            };
            figures.write(column.untyped())?;
            column.close()?;
        }
        group.close()?;
        file.into_inner()
    }
}

/// The narrowest column that holds all values without loss.
fn typed(values: &[Option<&Value>]) -> Figures {
    let present = || values.iter().flatten();
    if present().all(|v| matches!(v, Value::Integer(_))) {
        let integer = |v: &Value| match v {
            Value::Integer(i) => Some(*i),
            Value::Bool(_) | Value::Float(_) | Value::Text(_) => None,
        };
        Figures::Integer(values.iter().map(|v| v.and_then(integer)).collect())
    } else if present().all(|v| v.number().is_some()) {
        Figures::Float(values.iter().map(|v| v.and_then(Value::number)).collect())
    } else if present().all(|v| matches!(v, Value::Bool(_))) {
        let bool = |v: &Value| Some(*v == Value::Bool(true));
        Figures::Bool(values.iter().map(|v| v.and_then(bool)).collect())
    } else {
        Figures::Text(values.iter().map(|v| v.map(ToString::to_string)).collect())
    }
}

impl Figures {
    fn len(&self) -> usize {
        match self {
            Self::Bool(v) => v.len(),
            Self::Integer(v) => v.len(),
            Self::Unsigned(v) => v.len(),
            Self::Float(v) => v.len(),
            Self::Text(v) => v.len(),
        }
    }

    fn field(&self, line: usize) -> String {
        fn text<T: ToString>(value: Option<&Option<T>>) -> String {
            let value = value.and_then(Option::as_ref);
            value.map(ToString::to_string).unwrap_or_default()
        }
        match self {
            Self::Bool(v) => text(v.get(line)),
            Self::Integer(v) => text(v.get(line)),
            Self::Unsigned(v) => text(v.get(line)),
            // The shortest text that reads back as the same number, with an exponent where that is shorter.
            Self::Float(v) => match v.get(line).copied().flatten() {
                Some(f) if f.is_finite() => format!("{f:?}"),
                Some(_) | None => String::new(),
            },
            Self::Text(v) => text(v.get(line)),
        }
    }

    fn physical(&self) -> Physical {
        match self {
            Self::Bool(_) => Physical::BOOLEAN,
            Self::Integer(_) | Self::Unsigned(_) => Physical::INT64,
            Self::Float(_) => Physical::DOUBLE,
            Self::Text(_) => Physical::BYTE_ARRAY,
        }
    }

    fn logical(&self) -> Option<LogicalType> {
        match self {
            Self::Unsigned(_) => Some(LogicalType::integer(64, false)),
            Self::Text(_) => Some(LogicalType::String),
            Self::Bool(_) | Self::Integer(_) | Self::Float(_) => None,
        }
    }

    /// An absent figure is a definition level of 0 and no value.
    fn write(&self, writer: &mut ColumnWriter) -> Result<(), ParquetError> {
        fn split<T, U>(all: &[Option<T>], keep: impl Fn(&T) -> Option<U>) -> (Vec<U>, Vec<i16>) {
            let kept: Vec<Option<U>> = all.iter().map(|v| v.as_ref().and_then(&keep)).collect();
            let levels = kept.iter().map(|v| i16::from(v.is_some())).collect();
            (kept.into_iter().flatten().collect(), levels)
        }
        match (self, writer) {
            (Self::Bool(all), ColumnWriter::BoolColumnWriter(to)) => {
                let (values, levels) = split(all, |v| Some(*v));
                to.write_batch(&values, Some(&levels), None)
            }
            (Self::Integer(all), ColumnWriter::Int64ColumnWriter(to)) => {
                let (values, levels) = split(all, |v| Some(*v));
                to.write_batch(&values, Some(&levels), None)
            }
            (Self::Unsigned(all), ColumnWriter::Int64ColumnWriter(to)) => {
                let (values, levels) = split(all, |v| Some(v.cast_signed()));
                to.write_batch(&values, Some(&levels), None)
            }
            (Self::Float(all), ColumnWriter::DoubleColumnWriter(to)) => {
                let (values, levels) = split(all, |v| Some(*v).filter(|f| f.is_finite()));
                to.write_batch(&values, Some(&levels), None)
            }
            (Self::Text(all), ColumnWriter::ByteArrayColumnWriter(to)) => {
                let (values, levels) = split(all, |v| Some(ByteArray::from(v.as_str())));
                to.write_batch(&values, Some(&levels), None)
            }
            _ => Err(ParquetError::General("the schema disagrees".into())),
        }?;
        Ok(())
    }
}
