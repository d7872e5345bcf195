//! Settings of hyperparameters: `pc.prec(1, 0.01, initial = 4)`, `fixed(0.9)`, `initial(2)`.

use std::sync::Arc;

use gmrf::{Hyperparameter, HyperparameterBlock, Prior, prior};

use crate::error::InlaError;
use crate::formula::Value;

/// Priors that only one model knows: `None` for a name that is not one of them.
pub(crate) type SpecialPrior<'a> = dyn Fn(&str, &[f64]) -> Option<Result<Arc<dyn Prior>, gmrf::GmrfError>> + 'a;

/// What a user says of one hyperparameter.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HyperSetting {
    /// The prior's name and arguments.
    pub prior: Option<(String, Vec<f64>)>,
    /// The starting value, on the reported scale.
    pub initial: Option<f64>,
    /// Whether it is held at the starting value.
    pub fixed: bool,
}

/// A prior, a starting value and whether it is fixed, as the model has them where the user is silent.
#[derive(Debug, Clone)]
pub struct HyperDefault {
    /// Name and scales; `initial` on the internal scale.
    pub parameter: Hyperparameter,
    /// The prior's name and arguments.
    pub prior: (&'static str, Vec<f64>),
}

impl HyperSetting {
    /// Reads a setting; `place` and `option` are for the message.
    ///
    /// # Errors
    /// [`InlaError::InvalidOption`].
    pub fn read(place: &str, option: &str, value: &Value) -> Result<Self, InlaError> {
        let refuse = |reason: &str| InlaError::InvalidOption {
            place: place.to_owned(),
            option: option.to_owned(),
            value: value.to_string(),
            reason: reason.to_owned(),
        };
        let usage = "write a prior such as pc.prec(1, 0.01, initial = 4), or fixed(value)";
        let (name, arguments) = match value {
            Value::Call { name, arguments } => (name.clone(), arguments.as_slice()),
            Value::Name(name) => (name.clone(), [].as_slice()),
            _ => return Err(refuse(usage)),
        };
        let (mut numbers, mut setting) = (Vec::new(), Self::default());
        for argument in arguments {
            match (argument.name.as_deref(), &argument.value) {
                (None, Value::Number(number)) => numbers.push(*number),
                (None, Value::List(items)) => {
                    for item in items {
                        let Value::Number(number) = item else { return Err(refuse(usage)) };
                        numbers.push(*number);
                    }
                }
                (Some("initial"), Value::Number(number)) => setting.initial = Some(*number),
                (Some("fixed"), Value::Boolean(fixed)) => setting.fixed = *fixed,
                (Some(_), Value::Number(number)) => numbers.push(*number),
                _ => return Err(refuse(usage)),
            }
        }
        match (name.as_str(), numbers.as_slice()) {
            ("fixed", [value]) => (setting.initial, setting.fixed) = (Some(*value), true),
            ("initial", [value]) => setting.initial = Some(*value),
            ("fixed" | "initial", _) => return Err(refuse("it takes one number, on the reported scale")),
            _ => setting.prior = Some((name, numbers)),
        }
        Ok(setting)
    }
}

impl HyperDefault {
    /// A default of one hyperparameter.
    pub fn new(parameter: Hyperparameter, prior: &'static str, arguments: &[f64]) -> Self {
        Self { parameter, prior: (prior, arguments.to_vec()) }
    }

    /// The block that default and setting make; `special` builds priors that only this model knows.
    ///
    /// # Errors
    /// [`InlaError::InvalidOption`] for a value outside the scale or a prior that does not fit.
    pub(crate) fn block(
        self,
        place: &str,
        setting: Option<&HyperSetting>,
        special: &SpecialPrior<'_>,
    ) -> Result<HyperparameterBlock, InlaError> {
        let mut parameter = self.parameter;
        let option = parameter.name.clone();
        let refuse = |value: String, reason: String| InlaError::InvalidOption {
            place: place.to_owned(),
            option: option.clone(),
            value,
            reason,
        };
        let (mut name, mut arguments) = (self.prior.0.to_owned(), self.prior.1);
        if let Some(setting) = setting {
            if let Some(value) = setting.initial {
                parameter.initial = parameter.transform.invert(value).ok_or_else(|| {
                    refuse(value.to_string(), "the value is outside the range of this hyperparameter".to_owned())
                })?;
            }
            parameter.fixed = setting.fixed;
            if let Some(prior) = &setting.prior {
                (name, arguments) = prior.clone();
            }
        }
        let made = match special(&name, &arguments) {
            Some(made) => made,
            None => prior::from_name(&name, &arguments, parameter.transform),
        };
        let prior = made.map_err(|error| refuse(name.clone(), error.to_string()))?;
        Ok(HyperparameterBlock::single(parameter, prior))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<HyperSetting, InlaError> {
        HyperSetting::read("effect u", "precision", &Value::parse(text).unwrap())
    }

    #[test]
    fn priors_starting_values_and_fixed_values_are_read() {
        let setting = read("pc.prec(1, 0.01, initial = 4)").unwrap();
        assert_eq!(setting.prior, Some(("pc.prec".to_owned(), vec![1.0, 0.01])));
        assert_eq!((setting.initial, setting.fixed), (Some(4.0), false));
        assert_eq!(read("fixed(0.9)").unwrap(), HyperSetting { prior: None, initial: Some(0.9), fixed: true });
        assert_eq!(read("flat").unwrap().prior, Some(("flat".to_owned(), vec![])));
        assert_eq!(read("table(c(-1, 0, 0, 1, 1, 0))").unwrap().prior.unwrap().1.len(), 6);
        for bad in ["3", "fixed(1, 2)", "pc.prec(a, b)", "\"text\""] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_value_outside_its_scale_is_refused() {
        let default = HyperDefault::new(Hyperparameter::log_precision("precision", 4.0), "pc.prec", &[1.0, 0.01]);
        let setting = read("fixed(-2)").unwrap();
        let error = default.block("effect u", Some(&setting), &|_, _| None).unwrap_err().to_string();
        assert!(error.contains("effect u") && error.contains("outside"), "{error}");
    }
}
