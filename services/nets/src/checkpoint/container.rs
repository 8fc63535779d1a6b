//! The container: a safetensors file taken apart without trusting it.
//!
//! Own code and not the crate's reader, because every violation is to be reported at once and
//! duplicate names, which a map would swallow, are one. Files are written with the crate.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::fault::{Faults, Reason, quote};
use super::{MAX_FILE_BYTES, MAX_HEADER_BYTES};

/// Bytes of the header's length at the start of the file.
const LENGTH_BYTES: usize = 8;
/// Name under which safetensors keeps its text metadata.
const METADATA: &str = "__metadata__";
/// More dimensions than any tensor here has.
const MAX_DIMENSIONS: usize = 8;

/// A JSON object with its pairs in order, duplicates kept.
pub(super) struct Pairs<V>(pub(super) Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor<V>(std::marker::PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for PairsVisitor<V> {
            type Value = Pairs<V>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor(std::marker::PhantomData))
    }
}

/// A tensor of the file.
pub(super) struct Entry<'a> {
    pub(super) name: String,
    pub(super) dtype: String,
    pub(super) shape: Vec<usize>,
    pub(super) data: &'a [u8],
}

impl Entry<'_> {
    /// Shape and type as a reader would write them.
    pub(super) fn describe(&self) -> String {
        format!("{} {:?}", quote(&self.dtype), self.shape)
    }

    /// The values, when the tensor holds 32-bit floats.
    pub(super) fn values(&self) -> Vec<f32> {
        self.data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }
}

/// A file taken apart.
pub(super) struct Container<'a> {
    /// Text metadata in file order.
    pub(super) metadata: Vec<(String, String)>,
    /// Tensors in the order of their data.
    pub(super) tensors: Vec<Entry<'a>>,
}

/// A tensor as the header describes it, before its place in the data is checked.
struct Declared {
    name: String,
    dtype: String,
    shape: Vec<usize>,
    begin: usize,
    end: usize,
}

/// Takes a file apart. Nothing larger than the header is allocated.
///
/// # Errors
/// `TooLarge`, `Truncated` or `BadFormat`, all that were found.
pub(super) fn open(bytes: &[u8]) -> Result<Container<'_>, Faults> {
    let (header, data) = split(bytes)?;
    let parsed: Pairs<Pairs<Value>> = serde_json::from_slice(header).map_err(|error| {
        Faults::one(Reason::BadFormat, "header", format!("not the JSON of a safetensors header: {}", quote(&error.to_string())))
    })?;
    let mut faults = Faults::default();
    let mut metadata = Vec::new();
    let mut declared: Vec<Declared> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for (name, pairs) in parsed.0 {
        if !seen.insert(name.clone()) {
            faults.add(Reason::BadFormat, &name, "named twice in the header, allowed once");
        } else if name == METADATA {
            metadata = read_metadata(pairs, &mut faults);
        } else if let Some(tensor) = read_tensor(name, pairs, &mut faults) {
            declared.push(tensor);
        }
    }
    declared.sort_by_key(|tensor| (tensor.begin, tensor.end));
    check_layout(&declared, data.len(), &mut faults);
    faults.into_result()?;
    let tensors = declared.into_iter().filter_map(|tensor| {
        let data = data.get(tensor.begin..tensor.end)?;
        Some(Entry { name: tensor.name, dtype: tensor.dtype, shape: tensor.shape, data })
    });
    Ok(Container { metadata, tensors: tensors.collect() })
}

/// Header and data of a file.
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), Faults> {
    let size = bytes.len();
    if size > MAX_FILE_BYTES {
        return Err(Faults::one(Reason::TooLarge, "file", format!("{size} bytes, at most {MAX_FILE_BYTES} are allowed")));
    }
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else {
        return Err(Faults::one(
            Reason::Truncated,
            "file",
            format!("{size} bytes, the length of the header alone takes {LENGTH_BYTES}"),
        ));
    };
    let length = u64::from_le_bytes(*length);
    if length > MAX_HEADER_BYTES as u64 {
        let message =
            format!("the file says {length} bytes, at most {MAX_HEADER_BYTES} are allowed; is this a safetensors file?");
        return Err(Faults::one(Reason::TooLarge, "header", message));
    }
    rest.split_at_checked(length as usize).ok_or_else(|| {
        Faults::one(Reason::Truncated, "header", format!("the file says {length} bytes, {} are there", rest.len()))
    })
}

fn read_metadata(pairs: Pairs<Value>, faults: &mut Faults) -> Vec<(String, String)> {
    let mut metadata: Vec<(String, String)> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for (key, value) in pairs.0 {
        if !seen.insert(key.clone()) {
            faults.add(Reason::BadFormat, &key, "named twice in the metadata, allowed once");
        } else if let Value::String(text) = value {
            metadata.push((key, text));
        } else {
            faults.add(Reason::BadFormat, &key, "metadata values must be text");
        }
    }
    metadata
}

fn read_tensor(name: String, pairs: Pairs<Value>, faults: &mut Faults) -> Option<Declared> {
    let (mut dtype, mut shape, mut offsets) = (None, None, None);
    let before = faults.count();
    for (key, value) in pairs.0 {
        let repeated = match key.as_str() {
            "dtype" => dtype.replace(value).is_some(),
            "shape" => shape.replace(value).is_some(),
            "data_offsets" => offsets.replace(value).is_some(),
            _ => {
                faults.add(
                    Reason::BadFormat,
                    &name,
                    format!("unknown key {:?}; known are dtype, shape, data_offsets", quote(&key)),
                );
                continue;
            }
        };
        if repeated {
            faults.add(Reason::BadFormat, &name, format!("{key} is given twice, allowed once"));
        }
    }
    let dtype = dtype.and_then(|value| value.as_str().map(str::to_owned));
    let shape = shape.as_ref().and_then(sizes).filter(|shape| shape.len() <= MAX_DIMENSIONS);
    let offsets = offsets.as_ref().and_then(sizes).and_then(|pair| <[usize; 2]>::try_from(pair).ok());
    let (Some(dtype), Some(shape), Some([begin, end])) = (dtype, shape, offsets) else {
        faults.add(Reason::BadFormat, &name, "needs dtype (text), shape (at most 8 numbers) and data_offsets (two numbers)");
        return None;
    };
    (faults.count() == before).then_some(Declared { name, dtype, shape, begin, end })
}

/// A list of non-negative integers.
fn sizes(value: &Value) -> Option<Vec<usize>> {
    value.as_array()?.iter().map(|item| item.as_u64().and_then(|number| usize::try_from(number).ok())).collect()
}

/// Tensors must fill the data without holes or overlaps, each as long as its shape says.
fn check_layout(sorted: &[Declared], available: usize, faults: &mut Faults) {
    let mut position = 0;
    for tensor in sorted {
        let (begin, end) = (tensor.begin, tensor.end);
        if begin != position || end < begin {
            faults.add(
                Reason::BadFormat,
                &tensor.name,
                format!("data_offsets {begin}..{end}, they must begin at {position} and not end before"),
            );
        }
        if end > available {
            faults.add(
                Reason::Truncated,
                &tensor.name,
                format!("its data ends at byte {end}, {available} bytes of data are there"),
            );
        }
        let width = width(&tensor.dtype);
        let expected = tensor.shape.iter().try_fold(width, |bytes, size| bytes.checked_mul(*size));
        if width > 0 && expected != end.checked_sub(begin) {
            let shape = &tensor.shape;
            faults.add(Reason::BadFormat, &tensor.name, format!("shape {shape:?} does not fill data_offsets {begin}..{end}"));
        }
        position = end.max(position);
    }
    if position < available {
        faults.add(Reason::BadFormat, "file", format!("{} bytes behind the last tensor belong to none", available - position));
    }
}

/// Bytes of a value; 0 for types that no checkpoint here may use, whose size does not matter.
fn width(dtype: &str) -> usize {
    match dtype {
        "F64" | "I64" | "U64" => 8,
        "F32" | "I32" | "U32" => 4,
        "F16" | "BF16" | "I16" | "U16" => 2,
        "BOOL" | "U8" | "I8" => 1,
        _ => 0,
    }
}
