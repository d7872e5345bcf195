//! Reads `f()` and the values of its options.

use super::lexer::Token;
use super::parser::Parser;
use super::value::keyword;
use super::{Argument, EffectCall, FormulaError, Value};

/// The longest list that `first:last` may stand for.
const LONGEST_RANGE: f64 = 100_000.0;

impl Parser<'_> {
    /// What follows the opening parenthesis of `f(`.
    pub(super) fn effect(&mut self) -> Result<EffectCall, FormulaError> {
        let column = self.effect_column("f() begins with the name of a column, as in f(herd, model = iid)")?;
        let mut effect = EffectCall { column, weights: None, options: Vec::new() };
        while self.peek_symbol() == Some(',') {
            self.advance();
            if self.peek_symbol_at(1) == Some('=') {
                self.effect_option(&mut effect)?;
            } else if effect.weights.is_none() && effect.options.is_empty() {
                effect.weights = Some(self.effect_column(
                    "the second argument of f() is a column of weights; options are named: model = iid",
                )?);
            } else {
                return Err(self.error_here("the options of f() are named, as in model = iid"));
            }
        }
        self.expect_symbol(')')?;
        Ok(effect)
    }

    fn effect_column(&mut self, advice: &str) -> Result<String, FormulaError> {
        match self.peek().cloned() {
            Some(Token::Name { text, quoted }) if !matches!(self.peek_symbol_at(1), Some('(' | '=')) => {
                self.refuse_bare_dot(&text, quoted)?;
                self.advance();
                match self.peek_symbol() {
                    Some(',' | ')') => Ok(text),
                    _ => Err(self.error_here("a comma or ) is expected here; f() takes columns as they are")),
                }
            }
            Some(Token::Name { .. }) if self.peek_symbol_at(1) == Some('(') => {
                Err(self.error_here("f() takes columns as they are: compute this as a column of the data"))
            }
            _ => Err(self.error_here(advice)),
        }
    }

    fn effect_option(&mut self, effect: &mut EffectCall) -> Result<(), FormulaError> {
        let start = self.position();
        let name = self.argument_name()?;
        let taken = effect.options.iter().any(|(known, _)| *known == name);
        if taken || (name == "weights" && effect.weights.is_some()) {
            return Err(self.error_at(start, format!("option {name} is given twice")));
        }
        let value = self.value()?;
        match (name.as_str(), value) {
            ("weights", Value::Name(column) | Value::Text(column)) => effect.weights = Some(column),
            ("weights", _) => return Err(self.error_at(start, "weights is the name of a column")),
            (_, value) => effect.options.push((name, value)),
        }
        Ok(())
    }

    /// A name and the `=` behind it.
    fn argument_name(&mut self) -> Result<String, FormulaError> {
        let Some(Token::Name { text, .. }) = self.peek().cloned() else {
            return Err(self.error_here("the name of an option is expected here"));
        };
        self.advance();
        self.expect_symbol('=')?;
        Ok(text)
    }

    /// The value of an option.
    pub(super) fn value(&mut self) -> Result<Value, FormulaError> {
        match self.peek().cloned() {
            Some(Token::Number(_) | Token::Symbol('-' | '+')) => self.number_or_range(),
            Some(Token::Text(text)) => {
                self.advance();
                Ok(Value::Text(text))
            }
            Some(Token::Name { text, quoted }) => {
                self.advance();
                match keyword(&text).filter(|_| !quoted) {
                    Some(value) => Ok(Value::Boolean(value)),
                    None if self.peek_symbol() == Some('(') => self.call(text),
                    None => Ok(Value::Name(text)),
                }
            }
            _ => {
                Err(self
                    .error_here("a value is expected here: a name, a number, a text in quotes, TRUE or FALSE, c(…)"))
            }
        }
    }

    fn number_or_range(&mut self) -> Result<Value, FormulaError> {
        let start = self.position();
        let first = self.signed_number()?;
        if self.peek_symbol() != Some(':') {
            return Ok(Value::Number(first));
        }
        self.advance();
        let last = self.signed_number()?;
        if first > last || last - first >= LONGEST_RANGE {
            return Err(self.error_at(start, "a range goes upward and has at most 100000 values"));
        }
        let mut values = Vec::new();
        let mut step = 0.0;
        while first + step <= last && step < LONGEST_RANGE {
            values.push(Value::Number(first + step));
            step += 1.0;
        }
        Ok(Value::List(values))
    }

    fn signed_number(&mut self) -> Result<f64, FormulaError> {
        let sign = match self.peek_symbol() {
            Some('-') => -1.0,
            _ => 1.0,
        };
        if matches!(self.peek_symbol(), Some('-' | '+')) {
            self.advance();
        }
        match self.peek() {
            Some(&Token::Number(value)) => {
                self.advance();
                Ok(sign * value)
            }
            _ => Err(self.error_here("a number is expected here")),
        }
    }

    /// The arguments of the call of `name`, from the opening parenthesis on.
    fn call(&mut self, name: String) -> Result<Value, FormulaError> {
        let start = self.position();
        self.advance();
        let mut arguments: Vec<Argument> = Vec::new();
        while self.peek_symbol() != Some(')') {
            if !arguments.is_empty() {
                self.expect_symbol(',')?;
            }
            let here = self.position();
            let argument_name = if self.peek_symbol_at(1) == Some('=') { Some(self.argument_name()?) } else { None };
            if argument_name.is_some() && arguments.iter().any(|known| known.name == argument_name) {
                return Err(self.error_at(here, "this argument is given twice"));
            }
            arguments.push(Argument { name: argument_name, value: self.nested(Self::value)? });
        }
        self.advance();
        if name != "c" {
            return Ok(Value::Call { name, arguments });
        }
        if arguments.iter().any(|argument| argument.name.is_some()) {
            return Err(self.error_at(start, "the values of c(…) have no names"));
        }
        Ok(Value::List(arguments.into_iter().map(|argument| argument.value).collect()))
    }
}
