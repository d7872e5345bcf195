//! Reads arithmetic on columns.

use super::lexer::Token;
use super::parser::Parser;
use super::{Expression, FormulaError, Function, Operator};

/// The largest number of operators and functions in one expression, which bounds the depth of its tree.
const LARGEST_EXPRESSION: usize = 500;

impl Parser<'_> {
    /// Sums and differences of products, from the current token on.
    pub(super) fn arithmetic(&mut self) -> Result<Expression, FormulaError> {
        self.expression_size = 0;
        self.sum()
    }

    /// A function of columns, from its name on.
    pub(super) fn function_call(&mut self) -> Result<Expression, FormulaError> {
        self.expression_size = 0;
        self.operand()
    }

    fn sum(&mut self) -> Result<Expression, FormulaError> {
        let mut left = self.product()?;
        loop {
            let operator = match self.peek_symbol() {
                Some('+') => Operator::Add,
                Some('-') => Operator::Subtract,
                _ => return Ok(left),
            };
            self.advance();
            let right = self.product()?;
            left = self.binary(operator, left, right)?;
        }
    }

    fn product(&mut self) -> Result<Expression, FormulaError> {
        let mut left = self.signed()?;
        loop {
            let operator = match self.peek_symbol() {
                Some('*') => Operator::Multiply,
                Some('/') => Operator::Divide,
                _ => return Ok(left),
            };
            self.advance();
            let right = self.signed()?;
            left = self.binary(operator, left, right)?;
        }
    }

    fn binary(&mut self, operator: Operator, left: Expression, right: Expression) -> Result<Expression, FormulaError> {
        self.count_operation()?;
        Ok(Expression::Binary { operator, left: Box::new(left), right: Box::new(right) })
    }

    fn count_operation(&mut self) -> Result<(), FormulaError> {
        self.expression_size += 1;
        if self.expression_size > LARGEST_EXPRESSION {
            return Err(self.error_here("this expression is too long: compute it as a column of the data"));
        }
        Ok(())
    }

    fn signed(&mut self) -> Result<Expression, FormulaError> {
        match self.peek_symbol() {
            Some('-') => {
                self.advance();
                self.count_operation()?;
                Ok(Expression::Negative(Box::new(self.nested(Self::signed)?)))
            }
            Some('+') => {
                self.advance();
                self.nested(Self::signed)
            }
            _ => self.power(),
        }
    }

    fn power(&mut self) -> Result<Expression, FormulaError> {
        let base = self.operand()?;
        if self.peek_symbol() != Some('^') {
            return Ok(base);
        }
        self.advance();
        let exponent = self.nested(Self::signed)?;
        self.binary(Operator::Power, base, exponent)
    }

    /// A number, a column, a function or an expression in parentheses.
    fn operand(&mut self) -> Result<Expression, FormulaError> {
        match self.peek().cloned() {
            Some(Token::Number(value)) => {
                self.advance();
                Ok(Expression::Number(value))
            }
            Some(Token::Symbol('(')) => {
                self.advance();
                let inner = self.nested(Self::sum)?;
                self.expect_symbol(')')?;
                Ok(inner)
            }
            Some(Token::Name { text, quoted }) => {
                if quoted || self.peek_symbol_at(1) != Some('(') {
                    self.refuse_bare_dot(&text, quoted)?;
                    self.advance();
                    return Ok(Expression::Column(text));
                }
                let Some(function) = Function::from_name(&text) else { return Err(self.unknown_function(&text)) };
                self.count_operation()?;
                self.advance();
                self.advance();
                let argument = self.nested(Self::sum)?;
                self.expect_symbol(')')?;
                Ok(Expression::Call { function, argument: Box::new(argument) })
            }
            _ => Err(self.error_here("a column, a number or a function is expected here")),
        }
    }
}
