//! A virtual machine that reads pickles: it emulates what `torch.save` writes and calls nothing.
//!
//! Each opcode adds at most one value, so the pickle's length bounds the memory.

use std::collections::HashMap;

use super::globals::{self, Global};
use super::input::Input;
use super::opcode as op;
use super::pickle::{Id, Storage, Tensor, Value};
use residua_core::error::{Error, Result};

/// Weights have four dimensions; allowing more would let a small file describe large shapes many times over.
const MAX_RANK: usize = 8;

/// Shared by all values that weights never use, and by all empty tuples.
const OPAQUE: Id = Id(0);
const EMPTY_TUPLE: Id = Id(1);

/// A pickle being read.
pub(super) struct Machine<'a> {
    input: Input<'a>,
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// The stack's heights where collections begin.
    marks: Vec<u32>,
    memo: HashMap<u64, Id>,
}

impl<'a> Machine<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            input: Input::new(bytes),
            values: vec![Value::Opaque, Value::Tuple(Vec::new())],
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    /// Runs the pickle. Returns all values, the root value and the number of bytes consumed.
    pub fn run(mut self) -> Result<(Vec<Value<'a>>, Id, usize)> {
        loop {
            let at = self.input.at();
            match self.input.byte()? {
                op::STOP => return self.pop().map(|root| (self.values, root, self.input.at())),
                opcode => self.step(opcode).map_err(|error| match error {
                    Error::Invalid(what) => Error::invalid(format!("in the pickle at byte {at}: {what}")),
                    other => other,
                })?,
            }
        }
    }

    /// Executes one opcode.
    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            op::PROTO => self.input.skip(1),
            op::FRAME => self.input.skip(8),
            op::NONE | op::NEWTRUE | op::NEWFALSE => self.opaque(),
            op::BININT1 => self.integer::<1>(false),
            op::BININT2 => self.integer::<2>(false),
            op::BININT => self.integer::<4>(true),
            op::LONG1 => self.long::<1>(),
            op::LONG4 => self.long::<4>(),
            op::BINFLOAT => self.input.skip(8).and_then(|()| self.opaque()),
            op::SHORT_BINSTRING | op::SHORT_BINUNICODE => self.text::<1>(),
            op::BINSTRING | op::BINUNICODE => self.text::<4>(),
            op::BINUNICODE8 => self.text::<8>(),
            op::SHORT_BINBYTES => self.blob::<1>(),
            op::BINBYTES => self.blob::<4>(),
            op::BINBYTES8 | op::BYTEARRAY8 => self.blob::<8>(),
            op::EMPTY_TUPLE => self.push_id(EMPTY_TUPLE),
            op::TUPLE1 => self.tuple_of(1),
            op::TUPLE2 => self.tuple_of(2),
            op::TUPLE3 => self.tuple_of(3),
            op::TUPLE => self.marked().and_then(|items| self.push(Value::Tuple(items))),
            op::EMPTY_DICT => self.push(Value::Dict(Vec::new())),
            op::DICT => self.marked().and_then(|items| self.new_dict(&items)),
            op::SETITEM => self.set_items(Self::top_two),
            op::SETITEMS => self.set_items(Self::marked),
            op::EMPTY_LIST => self.push(Value::List(Vec::new())),
            op::LIST => self.marked().and_then(|items| self.push(Value::List(items))),
            op::APPEND => self.append(|machine| Ok(vec![machine.pop()?])),
            op::APPENDS => self.append(Self::marked),
            // Sets never hold weights.
            op::EMPTY_SET => self.opaque(),
            op::FROZENSET => self.marked().and_then(|_| self.opaque()),
            op::ADDITEMS | op::POP_MARK => self.marked().map(drop),
            op::POP => self.pop().map(drop),
            op::BUILD => self.build(),
            op::DUP => self.top().and_then(|id| self.push_id(id)),
            op::MARK => self.mark(),
            op::BINPUT => self.input.number::<1>().and_then(|key| self.memoize(key)),
            op::LONG_BINPUT => self.input.number::<4>().and_then(|key| self.memoize(key)),
            op::MEMOIZE => self.memoize(self.memo.len() as u64),
            op::BINGET => self.input.number::<1>().and_then(|key| self.recall(key)),
            op::LONG_BINGET => self.input.number::<4>().and_then(|key| self.recall(key)),
            op::GLOBAL => self.global_in_lines(),
            op::STACK_GLOBAL => self.global_on_stack(),
            op::BINPERSID => self.persistent(),
            op::REDUCE | op::NEWOBJ => self.call(),
            // The keyword arguments are not needed.
            op::NEWOBJ_EX => self.pop().and_then(|_| self.call()),
            other => Err(Error::invalid(format!(
                "expected an opcode that torch.save writes, found {other:#04x}: re-save the file with PyTorch"
            ))),
        }
    }

    fn new_dict(&mut self, items: &[Id]) -> Result<()> {
        let pairs = pairs(items)?;
        self.push(Value::Dict(pairs))
    }

    /// Adds the `items` that `take` removes from the stack to the dictionary below them. An object that has items is a
    /// dictionary of another class, such as `defaultdict`, `EasyDict` or the user's own.
    fn set_items(&mut self, take: impl Fn(&mut Self) -> Result<Vec<Id>>) -> Result<()> {
        let added = pairs(&take(self)?)?;
        let target = self.top()?;
        match &mut self.values[target.0 as usize] {
            Value::Dict(pairs) => pairs.extend(added),
            Value::Opaque => {
                self.pop()?;
                self.push(Value::Dict(added))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Adds the items that `take` removes from the stack to the list below them; ignored for objects.
    fn append(&mut self, take: impl Fn(&mut Self) -> Result<Vec<Id>>) -> Result<()> {
        let added = take(self)?;
        let target = self.top()?;
        if let Value::List(items) = &mut self.values[target.0 as usize] {
            items.extend(added);
        }
        Ok(())
    }

    /// The pairs in the list `id`, from which Python 2 builds an ordered dictionary. This empties the list:
    /// if it could be taken repeatedly, a small file could fill the memory.
    fn listed_pairs(&mut self, id: Id) -> Vec<(Id, Id)> {
        let Value::List(items) = &mut self.values[id.0 as usize] else { return Vec::new() };
        let items = std::mem::take(items);
        let pair = |id: Id| match self.value(id) {
            Value::List(pair) | Value::Tuple(pair) => Some((*pair.first()?, *pair.get(1)?)),
            _ => None,
        };
        items.into_iter().filter_map(pair).collect()
    }

    /// `module\nname\n`.
    fn global_in_lines(&mut self) -> Result<()> {
        let (module, name) = (self.input.line()?, self.input.line()?);
        self.global(module, name)
    }

    fn global_on_stack(&mut self) -> Result<()> {
        let names = self.top_two()?;
        match (self.value(names[0]), self.value(names[1])) {
            (&Value::Str(module), &Value::Str(name)) => self.global(module, name),
            _ => Err(Error::invalid("expected a global's module and name as text")),
        }
    }

    fn global(&mut self, module: &str, name: &str) -> Result<()> {
        match globals::resolve(module, name)? {
            Some(global) => self.push(Value::Global(global)),
            None => self.opaque(),
        }
    }

    /// `("storage", class, key, device, elements)`, followed by `None` before PyTorch 1.6, or something other
    /// than a storage.
    fn persistent(&mut self) -> Result<()> {
        let id = self.pop()?;
        let Value::Tuple(parts) = self.value(id) else { return self.opaque() };
        let ([_, class, key, _, elements] | [_, class, key, _, elements, OPAQUE]) = parts[..] else {
            return self.opaque();
        };
        match (self.value(class), self.value(key), self.count(elements)) {
            (&Value::Global(Global::Storage(dtype)), &Value::Str(key), Some(elements)) => {
                self.push(Value::Storage(Box::new(Storage { key, dtype, elements })))
            }
            _ => self.opaque(),
        }
    }

    /// Replaces a callable and its arguments by the result, if the callable is known here, without calling
    /// anything.
    fn call(&mut self) -> Result<()> {
        let [callable, arguments] = self.top_two()?[..] else { return self.opaque() };
        let Value::Tuple(arguments) = self.value(arguments) else { return self.opaque() };
        match (self.value(callable), &arguments[..]) {
            (Value::Global(Global::Dict), &[]) => self.push(Value::Dict(Vec::new())),
            (Value::Global(Global::Dict), &[items, ..]) => {
                let pairs = self.listed_pairs(items);
                self.push(Value::Dict(pairs))
            }
            (Value::Global(Global::Module), _) => self.push(Value::Module(OPAQUE)),
            (Value::Global(Global::Parameter), &[tensor, ..]) => self.push_id(tensor),
            (Value::Global(Global::Subclass), &[function, _, arguments, ..]) => match self.value(function) {
                Value::Global(Global::Tensor | Global::Parameter) => {
                    self.push_id(function)?;
                    self.push_id(arguments)?;
                    self.call()
                }
                _ => self.opaque(),
            },
            (Value::Global(Global::Tensor), &[storage, offset, shape, strides, ..]) => {
                match self.tensor(storage, offset, shape, strides) {
                    Some(tensor) => self.push(Value::Tensor(Box::new(tensor))),
                    // Weights are never built this way. If a model does need this one, it is reported missing
                    // by name.
                    None => self.opaque(),
                }
            }
            _ => self.opaque(),
        }
    }

    /// Sets a module's attributes; the state of any other object never holds weights.
    fn build(&mut self) -> Result<()> {
        let state = self.pop()?;
        let target = self.top()?;
        if let Value::Module(attributes) = &mut self.values[target.0 as usize] {
            *attributes = state;
        }
        Ok(())
    }

    fn tensor(&self, storage: Id, offset: Id, shape: Id, strides: Id) -> Option<Tensor<'a>> {
        let Value::Storage(storage) = self.value(storage) else { return None };
        let (shape, strides) = (self.counts(shape)?, self.counts(strides)?);
        let offset = self.count(offset)?;
        (shape.len() == strides.len()).then_some(Tensor { storage: **storage, offset, shape, strides })
    }

    fn counts(&self, tuple: Id) -> Option<Vec<usize>> {
        match self.value(tuple) {
            Value::Tuple(items) if items.len() <= MAX_RANK => {
                items.iter().map(|&item| self.count(item)?.try_into().ok()).collect()
            }
            _ => None,
        }
    }

    /// A non-negative number.
    fn count(&self, id: Id) -> Option<u64> {
        let Value::Int(number) = self.value(id) else { return None };
        u64::try_from(*number).ok()
    }

    fn value(&self, id: Id) -> &Value<'a> {
        &self.values[id.0 as usize]
    }

    fn push(&mut self, value: Value<'a>) -> Result<()> {
        // Cannot wrap: there are at most `MAX_BYTES` values.
        let id = Id(self.values.len() as u32);
        self.values.push(value);
        self.push_id(id)
    }

    fn push_id(&mut self, id: Id) -> Result<()> {
        self.stack.push(id);
        Ok(())
    }

    fn opaque(&mut self) -> Result<()> {
        self.push_id(OPAQUE)
    }

    /// The top of the stack above the last mark.
    fn top(&self) -> Result<Id> {
        let floor = self.marks.last().map_or(0, |&mark| mark as usize);
        self.stack[floor..]
            .last()
            .copied()
            .ok_or_else(|| Error::invalid("a value is missing: the pickle is damaged"))
    }

    fn pop(&mut self) -> Result<Id> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    /// The top two values, in push order.
    fn top_two(&mut self) -> Result<Vec<Id>> {
        let second = self.pop()?;
        Ok(vec![self.pop()?, second])
    }

    fn tuple_of(&mut self, len: usize) -> Result<()> {
        let mut items = (0..len).map(|_| self.pop()).collect::<Result<Vec<_>>>()?;
        items.reverse();
        self.push(Value::Tuple(items))
    }

    fn mark(&mut self) -> Result<()> {
        self.marks.push(self.stack.len() as u32);
        Ok(())
    }

    /// Everything above the last mark.
    fn marked(&mut self) -> Result<Vec<Id>> {
        let mark =
            self.marks.pop().ok_or_else(|| Error::invalid("a mark is missing: the pickle is damaged"))?;
        Ok(self.stack.split_off(mark as usize))
    }

    fn memoize(&mut self, key: u64) -> Result<()> {
        let id = self.top()?;
        self.memo.insert(key, id);
        Ok(())
    }

    fn recall(&mut self, key: u64) -> Result<()> {
        let found = self.memo.get(&key).copied();
        self.push_id(found.ok_or_else(|| {
            Error::invalid(format!("value {key} is read from the memo, but was never stored"))
        })?)
    }

    fn integer<const N: usize>(&mut self, signed: bool) -> Result<()> {
        let unsigned = self.input.number::<N>()?;
        let number = if signed { i64::from(unsigned as u32 as i32) } else { unsigned as i64 };
        self.push(Value::Int(number))
    }

    /// An integer of any length; larger than 64 bits, it cannot be a count and is ignored.
    fn long<const N: usize>(&mut self) -> Result<()> {
        let bytes = self.input.counted::<N>()?;
        if bytes.len() > 8 {
            return self.opaque();
        }
        let sign = bytes.last().map_or(0, |&top| if top < 0x80 { 0 } else { 0xff });
        let mut padded = [sign; 8];
        padded[..bytes.len()].copy_from_slice(bytes);
        self.push(Value::Int(i64::from_le_bytes(padded)))
    }

    /// A text in UTF-8. Any other is ignored, as no name of a weight is one: the bytes of Python 2, or a path that is
    /// not Unicode.
    fn text<const N: usize>(&mut self) -> Result<()> {
        let bytes = self.input.counted::<N>()?;
        match std::str::from_utf8(bytes) {
            Ok(text) => self.push(Value::Str(text)),
            Err(_) => self.opaque(),
        }
    }

    fn blob<const N: usize>(&mut self) -> Result<()> {
        self.input.counted::<N>()?;
        self.opaque()
    }
}

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>> {
    match items.as_chunks() {
        (pairs, []) => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
        _ => Err(Error::invalid("expected a value for each key of a dictionary")),
    }
}
