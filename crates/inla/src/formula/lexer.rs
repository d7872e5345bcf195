//! The tokens of a formula.

use std::ops::Range;

use super::FormulaError;

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name; quoted by backticks it may hold anything and is never a keyword.
    Name { text: String, quoted: bool },
    /// A number without sign.
    Number(f64),
    /// A text in quotes.
    Text(String),
    /// One of `~ + - * / : ^ ( ) , = |`.
    Symbol(char),
}

/// A token with its bytes in the text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spanned {
    pub token: Token,
    pub span: Range<usize>,
}

/// Splits `text` into tokens; line breaks are blanks.
pub(super) fn tokenize(text: &str) -> Result<Vec<Spanned>, FormulaError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let start = text.len() - rest.len();
        let Some(first) = rest.chars().next() else { return Ok(tokens) };
        let (token, length) = match first {
            '~' | '+' | '-' | '*' | '/' | ':' | '^' | '(' | ')' | ',' | '=' | '|' => (Token::Symbol(first), 1),
            '"' | '\'' | '`' => quoted(text, start, first)?,
            '0'..='9' => number(text, start)?,
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => number(text, start)?,
            _ if is_name_start(first) => {
                let length = rest.find(|c| !is_name_part(c)).unwrap_or(rest.len());
                (Token::Name { text: rest[..length].to_owned(), quoted: false }, length)
            }
            _ => {
                let span = start..start + first.len_utf8();
                let message = format!(
                    "the character {first:?} has no meaning here; write `name` in backticks if it is in a name"
                );
                return Err(FormulaError::new(text, span, message));
            }
        };
        tokens.push(Spanned { token, span: start..start + length });
        rest = &rest[length..];
    }
}

/// Whether `name` can stand in a formula without backticks.
pub(super) fn is_plain_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(is_name_start)
        && characters.all(is_name_part)
        && name != "."
        && !(name.starts_with('.') && name[1..].starts_with(|c: char| c.is_ascii_digit()))
}

fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || c == '_' || c == '.'
}

fn is_name_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '.'
}

/// A text from `start`, where `quote` stands, to the next one; a backslash keeps the character behind it.
fn quoted(text: &str, start: usize, quote: char) -> Result<(Token, usize), FormulaError> {
    let mut content = String::new();
    let mut characters = text[start + 1..].char_indices();
    while let Some((offset, c)) = characters.next() {
        if c == quote {
            let token = if quote == '`' { Token::Name { text: content, quoted: true } } else { Token::Text(content) };
            let length = offset + 2;
            if matches!(&token, Token::Name { text, .. } if text.is_empty()) {
                return Err(FormulaError::new(text, start..start + length, "a name in backticks cannot be empty"));
            }
            return Ok((token, length));
        }
        match c {
            '\\' => content.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => content.push(c),
        }
    }
    Err(FormulaError::new(text, start..start + 1, format!("the closing {quote} is missing")))
}

/// A number from `start`: digits, a decimal point, an exponent.
fn number(text: &str, start: usize) -> Result<(Token, usize), FormulaError> {
    let bytes = &text.as_bytes()[start..];
    let digits = |from: usize| bytes[from.min(bytes.len())..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut length = digits(0);
    if bytes.get(length) == Some(&b'.') {
        length += 1 + digits(length + 1);
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let exponent = digits(length + 1 + sign);
        if exponent > 0 {
            length += 1 + sign + exponent;
        }
    }
    let span = start..start + length;
    match text[span.clone()].parse::<f64>() {
        Ok(value) if value.is_finite() => Ok((Token::Number(value), length)),
        _ => Err(FormulaError::new(text, span, "this number is too large")),
    }
}
