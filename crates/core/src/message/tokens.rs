//! The lexical tokens of RFC 5322 3.2 in an address field.
//! Called by the mailbox grammar.

use super::Ambiguity;
use crate::address::is_atext;

/// A token of an address field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A run of white space.
    Space,
    /// A run of atext and dots.
    Atom(&'a str),
    /// The content of a quoted string without its backslashes, and whether there were any.
    Quoted(String, bool),
    /// The content of a comment, inner comments included.
    Comment(&'a str),
    /// Any other character.
    Special(char),
}

impl Token<'_> {
    /// RFC 5322 3.2.2: comments and folding white space.
    pub(super) const fn is_cfws(&self) -> bool {
        matches!(self, Self::Space | Self::Comment(_))
    }
}

/// Cuts an unfolded text into tokens. Linear, and without recursion also for nested comments.
pub(super) fn cut(text: &str) -> Result<Vec<Token<'_>>, Ambiguity> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            ' ' | '\t' => (Token::Space, rest.trim_start_matches([' ', '\t'])),
            '"' => quoted(after_first(rest))?,
            '(' => comment(after_first(rest))?,
            ')' => return Err(Ambiguity::UnclosedComment),
            c if is_word(c) => {
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                let (atom, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
                (Token::Atom(atom), after)
            }
            special => (Token::Special(special), after_first(rest)),
        };
        tokens.push(token);
        rest = after;
    }
    Ok(tokens)
}

fn is_word(character: char) -> bool {
    is_atext(character) || character == '.'
}

fn after_first(text: &str) -> &str {
    let mut characters = text.chars();
    characters.next();
    characters.as_str()
}

/// From behind the opening quotation mark. RFC 5322 3.2.4.
fn quoted(text: &str) -> Result<(Token<'_>, &str), Ambiguity> {
    let mut content = String::new();
    let mut escapes = false;
    let mut characters = text.chars();
    loop {
        match characters.next().ok_or(Ambiguity::UnclosedQuote)? {
            '"' => return Ok((Token::Quoted(content, escapes), characters.as_str())),
            '\\' => {
                escapes = true;
                content.push(characters.next().ok_or(Ambiguity::UnclosedQuote)?);
            }
            character => content.push(character),
        }
    }
}

/// From behind the opening parenthesis. RFC 5322 3.2.2: comments nest.
fn comment(text: &str) -> Result<(Token<'_>, &str), Ambiguity> {
    let mut depth = 1_usize;
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '(' => depth = depth.saturating_add(1),
            ')' if depth == 1 => {
                let (content, rest) = text.split_at_checked(at).unwrap_or((text, ""));
                return Ok((Token::Comment(content), after_first(rest)));
            }
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Err(Ambiguity::UnclosedComment)
}
