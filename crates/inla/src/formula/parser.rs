//! Reads formulas by recursive descent.

use super::EffectCall;
use super::algebra::{Algebra, TermSet, TooManyTerms};
use super::lexer::{Spanned, Token, tokenize};
use super::{Expression, Formula, FormulaError, Function, LONGEST_TEXT, Value, Variable, coefficients};
use crate::nearest::nearest;

/// The deepest nesting of parentheses, signs and calls.
const DEEPEST: usize = 64;
/// The largest exponent of a power of terms; more changes nothing before the terms become too many.
const LARGEST_EXPONENT: f64 = 100.0;

/// Reads a whole formula.
pub(super) fn parse_formula(text: &str) -> Result<Formula, FormulaError> {
    let mut parser = Parser::new(text)?;
    let response = parser.response()?;
    let set = parser.terms()?;
    parser.expect_end()?;
    Ok(Formula {
        response,
        intercept: set.intercept.unwrap_or(true),
        terms: parser.algebra.ordered_terms(&set),
        offsets: set.offsets,
        effects: set.effects,
    })
}

/// Reads an expression and nothing behind it.
pub(super) fn parse_expression(text: &str) -> Result<Expression, FormulaError> {
    let mut parser = Parser::new(text)?;
    let expression = parser.arithmetic()?;
    parser.expect_end()?;
    Ok(expression)
}

/// Reads a value and nothing behind it.
pub(super) fn parse_value(text: &str) -> Result<Value, FormulaError> {
    let mut parser = Parser::new(text)?;
    let value = parser.value()?;
    parser.expect_end()?;
    Ok(value)
}

/// The tokens of a text and a place among them.
pub(super) struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Spanned>,
    position: usize,
    depth: usize,
    algebra: Algebra,
    /// The number of operations of the expression that is being read.
    pub(super) expression_size: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self, FormulaError> {
        if text.len() > LONGEST_TEXT {
            return Err(FormulaError::new(text, 0..0, format!("longer than {LONGEST_TEXT} bytes")));
        }
        let tokens = tokenize(text)?;
        Ok(Self { text, tokens, position: 0, depth: 0, algebra: Algebra::default(), expression_size: 0 })
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.position).map(|spanned| &spanned.token)
    }

    pub(super) fn peek_symbol(&self) -> Option<char> {
        self.peek_symbol_at(0)
    }

    pub(super) fn peek_symbol_at(&self, ahead: usize) -> Option<char> {
        match self.tokens.get(self.position + ahead)?.token {
            Token::Symbol(symbol) => Some(symbol),
            _ => None,
        }
    }

    pub(super) fn advance(&mut self) {
        self.position += 1;
    }

    pub(super) fn expect_symbol(&mut self, symbol: char) -> Result<(), FormulaError> {
        if self.peek_symbol() == Some(symbol) {
            self.advance();
            return Ok(());
        }
        Err(self.error_here(format!("{symbol} is expected here")))
    }

    fn expect_end(&self) -> Result<(), FormulaError> {
        match self.peek() {
            None => Ok(()),
            Some(Token::Symbol('~')) => Err(self.error_here("a formula has one ~ only")),
            Some(Token::Symbol(')')) => Err(self.error_here("this ) closes nothing")),
            Some(_) => Err(self.error_here("an operator such as + is missing before this")),
        }
    }

    /// An error at the current token, or behind the last one.
    pub(super) fn error_here(&self, message: impl Into<String>) -> FormulaError {
        self.error_at(self.position, message)
    }

    /// An error at a token.
    pub(super) fn error_at(&self, token: usize, message: impl Into<String>) -> FormulaError {
        let end = self.text.trim_end().len();
        let span = self.tokens.get(token).map_or(end..end, |spanned| spanned.span.clone());
        FormulaError::new(self.text, span, message)
    }

    /// Reads one level deeper.
    pub(super) fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, FormulaError>,
    ) -> Result<T, FormulaError> {
        if self.depth == DEEPEST {
            return Err(self.error_here(format!("nested deeper than {DEEPEST} levels")));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn response(&mut self) -> Result<Expression, FormulaError> {
        match self.peek() {
            None => return Err(self.error_here("the formula is empty; write response ~ terms")),
            Some(Token::Symbol('~')) => return Err(self.error_here("the response is missing before ~")),
            Some(Token::Name { text, .. }) if text == "cbind" && self.peek_symbol_at(1) == Some('(') => {
                return Err(self.error_here(
                    "write the number of successes before ~, and give the number of trials as trials = \"column\"",
                ));
            }
            Some(_) => {}
        }
        let response = self.arithmetic()?;
        if self.peek_symbol() != Some('~') {
            return Err(self.error_here("~ is expected between the response and the terms"));
        }
        self.advance();
        Ok(response)
    }

    fn terms(&mut self) -> Result<TermSet, FormulaError> {
        let mut set = TermSet::default();
        let mut subtract = false;
        if let Some(sign @ ('+' | '-')) = self.peek_symbol() {
            self.advance();
            subtract = sign == '-';
        }
        loop {
            let start = self.position;
            let right = self.products()?;
            if !subtract {
                let added = set.add(right);
                self.limited(start, added)?;
            } else if right.has_only_fixed() {
                set.subtract(&right);
            } else {
                return Err(self.error_at(start, "f() and offset() cannot be taken out of a formula: leave them out"));
            }
            match self.peek_symbol() {
                Some('+') => subtract = false,
                Some('-') => subtract = true,
                Some('|') if self.depth == 0 => {
                    let advice = "write random effects in parentheses, (1 | group), or as f(group, model = iid)";
                    return Err(self.error_here(advice));
                }
                _ => return Ok(set),
            }
            self.advance();
        }
    }

    fn products(&mut self) -> Result<TermSet, FormulaError> {
        let start = self.position;
        let mut left = self.interactions()?;
        while let Some(symbol @ ('*' | '/')) = self.peek_symbol() {
            self.advance();
            let right_start = self.position;
            let right = self.interactions()?;
            self.expect_pure(start, &left)?;
            self.expect_pure(right_start, &right)?;
            let product = if symbol == '*' { self.algebra.cross(left, right) } else { self.algebra.nest(left, &right) };
            left = self.limited(start, product)?;
        }
        Ok(left)
    }

    fn interactions(&mut self) -> Result<TermSet, FormulaError> {
        let start = self.position;
        let mut left = self.powers()?;
        while self.peek_symbol() == Some(':') {
            self.advance();
            let right_start = self.position;
            let right = self.powers()?;
            self.expect_pure(start, &left)?;
            self.expect_pure(right_start, &right)?;
            let product = self.algebra.interact(&left, &right);
            left = self.limited(start, product)?;
        }
        Ok(left)
    }

    fn powers(&mut self) -> Result<TermSet, FormulaError> {
        let start = self.position;
        let mut base = self.atom()?;
        while self.peek_symbol() == Some('^') {
            self.advance();
            self.expect_pure(start, &base)?;
            let exponent = match self.peek() {
                Some(&Token::Number(n)) if n >= 1.0 && n.fract() == 0.0 => n.min(LARGEST_EXPONENT) as usize,
                _ => {
                    let advice =
                        "the power of a term is a whole number from 1; write I(x^2) for the square of a column";
                    return Err(self.error_here(advice));
                }
            };
            self.advance();
            let power = self.algebra.power(&base, exponent);
            base = self.limited(start, power)?;
        }
        Ok(base)
    }

    fn expect_pure(&self, start: usize, set: &TermSet) -> Result<(), FormulaError> {
        if set.is_pure() {
            return Ok(());
        }
        let advice = "0, 1, offset() and f() can only be added; f() has group = and weights for interactions";
        Err(self.error_at(start, advice))
    }

    fn limited<T>(&self, start: usize, result: Result<T, TooManyTerms>) -> Result<T, FormulaError> {
        result.map_err(|TooManyTerms| self.error_at(start, "this stands for too many terms"))
    }

    fn atom(&mut self) -> Result<TermSet, FormulaError> {
        match self.peek().cloned() {
            Some(Token::Symbol('(')) => {
                self.advance();
                let start = self.position;
                let mut set = self.nested(Self::terms)?;
                if self.peek_symbol() == Some('|') {
                    set = self.random_coefficients(start, &set)?;
                }
                self.expect_symbol(')')?;
                Ok(set)
            }
            Some(Token::Number(value)) if value == 0.0 || value == 1.0 => {
                self.advance();
                Ok(TermSet::intercept(value == 1.0))
            }
            Some(Token::Number(_)) => {
                Err(self.error_here("of the numbers only 0 and 1 are terms; write arithmetic as I(2 * x)"))
            }
            Some(Token::Name { text, quoted }) => {
                if !quoted && self.peek_symbol_at(1) == Some('(') {
                    return self.called(&text);
                }
                self.refuse_bare_dot(&text, quoted)?;
                self.advance();
                Ok(self.algebra.single(Variable::Column(text)))
            }
            _ => Err(self.error_here("a term is expected here: a column, a function of columns, f(…), 0 or 1")),
        }
    }

    /// `| group` or `|| group` behind the columns whose coefficients vary, up to the closing parenthesis.
    fn random_coefficients(&mut self, start: usize, set: &TermSet) -> Result<TermSet, FormulaError> {
        if !set.has_only_fixed() {
            return Err(self.error_at(start, "before | stand columns only, without offset() and f()"));
        }
        self.advance();
        let independent = self.peek_symbol() == Some('|');
        if independent {
            self.advance();
        }
        let Some(Token::Name { text: group, .. }) = self.peek().cloned() else {
            return Err(self.error_here("the column of the groups is expected here"));
        };
        self.advance();
        if matches!(self.peek_symbol(), Some(':' | '/')) {
            let advice = "one column says which group a row belongs to: make one of the combinations in the data";
            return Err(self.error_here(advice));
        }
        let (intercept, terms) = (set.intercept.unwrap_or(true), self.algebra.ordered_terms(set));
        if !intercept && terms.is_empty() {
            return Err(self.error_at(start, "no coefficient is left to vary between the groups"));
        }
        Ok(TermSet::effects(coefficients::effects(&group, intercept, terms, independent)))
    }

    /// A term that begins with `name(`.
    fn called(&mut self, name: &str) -> Result<TermSet, FormulaError> {
        if Function::from_name(name).is_some() {
            let argument = self.function_call()?;
            return Ok(self.algebra.single(Variable::Computed(argument)));
        }
        if !matches!(name, "f" | "bs" | "offset" | "factor" | "as.factor") {
            return Err(self.unknown_function(name));
        }
        self.advance();
        self.advance();
        if name == "bs" {
            return Ok(TermSet::effects(vec![splines(self.effect()?)]));
        }
        if name == "f" {
            return Ok(TermSet::effects(vec![self.effect()?]));
        }
        if name == "offset" {
            let offset = self.arithmetic()?;
            self.expect_symbol(')')?;
            return Ok(TermSet::offset(offset));
        }
        let Some(Token::Name { text, quoted }) = self.peek().cloned() else {
            return Err(self.error_here("the name of a column is expected here"));
        };
        self.refuse_bare_dot(&text, quoted)?;
        self.advance();
        self.expect_symbol(')')?;
        Ok(self.algebra.single(Variable::Factor { function: name.to_owned(), column: text }))
    }

    pub(super) fn refuse_bare_dot(&self, name: &str, quoted: bool) -> Result<(), FormulaError> {
        if name == "." && !quoted {
            return Err(self.error_here("name the columns: . does not stand for all others here"));
        }
        Ok(())
    }

    pub(super) fn unknown_function(&self, name: &str) -> FormulaError {
        let advice = match name {
            "poly" => "poly() is not known: write x + I(x^2), or f(x, model = rw2) for a smooth curve".to_owned(),
            "s" | "te" | "ti" | "ns" | "lo" | "spline" | "smooth" => {
                format!("{name}() is not known: write bs(x) or f(x, model = rw2) for a smooth curve")
            }
            "scale" => "scale() is not known: standardise the column in the data".to_owned(),
            "c" | "cbind" => format!("{name}() is not a term"),
            _ => {
                let known = ["log", "exp", "sqrt", "abs", "I", "factor", "as.factor", "offset", "bs", "f"];
                let hint = nearest(name, known).map_or(String::new(), |n| format!("; did you mean {n}()?"));
                format!("the function {name}() is not known{hint} Known: {}", known.join(", "))
            }
        };
        self.error_here(advice)
    }
}

/// `bs(s, …)` as `f(s, model = bs, …)`; curves by group are called after both columns, so that a common curve may stand beside them.
fn splines(mut call: EffectCall) -> EffectCall {
    call.options.insert(0, ("model".to_owned(), Value::Name("bs".to_owned())));
    let given = |option: &str| call.options.iter().find(|(name, _)| name == option).map(|(_, value)| value);
    let owner = given("replicate").or(given("group"));
    if let (None, Some(Value::Name(column) | Value::Text(column))) = (given("name"), owner) {
        let name = format!("{}:{column}", call.column);
        call.options.push(("name".to_owned(), Value::Text(name)));
    }
    call
}
