//! The algebra of terms: sums, interactions, crossings, powers.

use std::collections::{HashMap, HashSet};

use super::{EffectCall, Expression, Term, Variable};

/// More terms than anybody writes; a power of a long sum reaches it at once.
const MOST_TERMS: usize = 10_000;
/// The largest number of variables in all terms together, each counted where it stands.
const MOST_MENTIONS: usize = 200_000;
/// The largest number of pairs of terms that all products together may combine.
const MOST_PRODUCTS: usize = 1_000_000;

/// The formula has grown beyond what is reasonable.
#[derive(Debug)]
pub(super) struct TooManyTerms;

/// The variables of a formula, numbered as they first appear, and the work spent on combining them.
#[derive(Debug, Default)]
pub(super) struct Algebra {
    variables: Vec<Variable>,
    numbers: HashMap<String, usize>,
    products: usize,
}

/// A set of terms in the order in which they were added; a term lists its variables as they were first written.
#[derive(Debug, Clone, Default)]
pub(super) struct TermSet {
    terms: Vec<Vec<usize>>,
    /// The terms, each sorted, so that `a:b` and `b:a` are one.
    known: HashSet<Vec<usize>>,
    mentions: usize,
    /// `Some(true)` for `1`, `Some(false)` for `0`.
    pub intercept: Option<bool>,
    pub offsets: Vec<Expression>,
    pub effects: Vec<EffectCall>,
}

impl TermSet {
    /// `1` or `0`.
    pub fn intercept(kept: bool) -> Self {
        Self { intercept: Some(kept), ..Self::default() }
    }

    /// `offset(…)`.
    pub fn offset(offset: Expression) -> Self {
        Self { offsets: vec![offset], ..Self::default() }
    }

    /// `f(…)`, and what stands for some of them.
    pub fn effects(effects: Vec<EffectCall>) -> Self {
        Self { effects, ..Self::default() }
    }

    /// Whether it holds nothing but terms, which alone can be combined.
    pub fn is_pure(&self) -> bool {
        self.intercept.is_none() && self.has_only_fixed()
    }

    /// Whether it holds neither offsets nor `f()`.
    pub fn has_only_fixed(&self) -> bool {
        self.offsets.is_empty() && self.effects.is_empty()
    }

    fn insert(&mut self, term: Vec<usize>) -> Result<(), TooManyTerms> {
        let size = term.len();
        if self.known.insert(sorted(&term)) {
            self.terms.push(term);
            self.mentions += size;
        }
        let fits = self.terms.len() <= MOST_TERMS && self.mentions <= MOST_MENTIONS;
        if fits { Ok(()) } else { Err(TooManyTerms) }
    }

    /// `self + other`.
    pub fn add(&mut self, other: Self) -> Result<(), TooManyTerms> {
        self.intercept = other.intercept.or(self.intercept);
        self.offsets.extend(other.offsets);
        self.effects.extend(other.effects);
        other.terms.into_iter().try_for_each(|term| self.insert(term))
    }

    /// `self - other` of terms and intercept.
    pub fn subtract(&mut self, other: &Self) {
        self.intercept = other.intercept.map(|kept| !kept).or(self.intercept);
        if !other.terms.is_empty() {
            self.terms.retain(|term| !other.known.contains(&sorted(term)));
            self.known = self.terms.iter().map(|term| sorted(term)).collect();
            self.mentions = self.terms.iter().map(Vec::len).sum();
        }
    }
}

impl Algebra {
    /// The set of one variable.
    pub fn single(&mut self, variable: Variable) -> TermSet {
        let next = self.variables.len();
        let number = *self.numbers.entry(variable.to_string()).or_insert(next);
        if number == next {
            self.variables.push(variable);
        }
        let term = vec![number];
        TermSet { known: HashSet::from([term.clone()]), terms: vec![term], mentions: 1, ..TermSet::default() }
    }

    /// `left:right`.
    pub fn interact(&mut self, left: &TermSet, right: &TermSet) -> Result<TermSet, TooManyTerms> {
        let mut result = TermSet::default();
        for a in &left.terms {
            for b in &right.terms {
                self.products += 1 + (a.len() + b.len()) / 8;
                if self.products > MOST_PRODUCTS {
                    return Err(TooManyTerms);
                }
                result.insert(distinct(a.iter().chain(b)))?;
            }
        }
        Ok(result)
    }

    /// `left*right`, which is `left + right + left:right`.
    pub fn cross(&mut self, mut left: TermSet, right: TermSet) -> Result<TermSet, TooManyTerms> {
        let interactions = self.interact(&left, &right)?;
        left.add(right)?;
        left.add(interactions)?;
        Ok(left)
    }

    /// `left/right`: `left` and `right` within every combination of it.
    pub fn nest(&mut self, mut left: TermSet, right: &TermSet) -> Result<TermSet, TooManyTerms> {
        let mut combination = TermSet::default();
        combination.insert(distinct(left.terms.iter().flatten()))?;
        let nested = self.interact(&combination, right)?;
        left.add(nested)?;
        Ok(left)
    }

    /// `base^exponent`: all interactions of up to `exponent` terms.
    pub fn power(&mut self, base: &TermSet, exponent: usize) -> Result<TermSet, TooManyTerms> {
        let mut result = base.clone();
        for _ in 1..exponent {
            let before = result.terms.len();
            result = self.cross(result, base.clone())?;
            if result.terms.len() == before {
                break;
            }
        }
        Ok(result)
    }

    /// The terms in R's order: by the number of variables, then as added.
    ///
    /// Within a term, the variables that are also terms by themselves stand first and in the order of those, then the others as
    /// they were written: the order in which R numbers variables unless an interaction is written before a term that it holds,
    /// and the same when it is written out and read again.
    pub fn ordered_terms(&self, set: &TermSet) -> Vec<Term> {
        let mut terms = set.terms.clone();
        terms.sort_by_key(Vec::len);
        let main: Vec<usize> = terms.iter().filter(|term| term.len() == 1).map(|term| term[0]).collect();
        let rank: HashMap<usize, usize> = main.into_iter().enumerate().map(|(rank, number)| (number, rank)).collect();
        for term in &mut terms {
            term.sort_by_key(|number| rank.get(number).copied().unwrap_or(usize::MAX));
        }
        terms.iter().map(|term| term.iter().map(|&number| self.variables[number].clone()).collect()).collect()
    }
}

fn sorted(term: &[usize]) -> Vec<usize> {
    let mut sorted = term.to_vec();
    sorted.sort_unstable();
    sorted
}

/// The distinct numbers in order of appearance.
fn distinct<'a>(numbers: impl Iterator<Item = &'a usize>) -> Vec<usize> {
    let mut seen = HashSet::new();
    numbers.copied().filter(|&number| seen.insert(number)).collect()
}
