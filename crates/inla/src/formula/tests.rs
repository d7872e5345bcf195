use proptest::prelude::*;

use super::*;
use crate::table::Table;

fn shown(text: &str) -> String {
    Formula::parse(text).unwrap_or_else(|error| panic!("{error}")).to_string()
}

#[test]
fn the_algebra_of_terms_is_that_of_wilkinson_and_rogers() {
    let cases = [
        ("y ~ x", "y ~ 1 + x"),
        ("y~0+x", "y ~ 0 + x"),
        ("y ~ x - 1", "y ~ 0 + x"),
        ("y ~ -1 + x", "y ~ 0 + x"),
        ("y ~ -1 + x + 1", "y ~ 1 + x"),
        ("y ~ a*b", "y ~ 1 + a + b + a:b"),
        ("y ~ b:a + b + a", "y ~ 1 + b + a + b:a"),
        ("y ~ a + b + b:a", "y ~ 1 + a + b + a:b"),
        ("y ~ a*b*c - a:b:c", "y ~ 1 + a + b + c + a:b + a:c + b:c"),
        ("y ~ (a + b + c)^2", "y ~ 1 + a + b + c + a:b + a:c + b:c"),
        ("y ~ a/b", "y ~ 1 + a + a:b"),
        ("y ~ (a + b)/c", "y ~ 1 + a + b + a:b:c"),
        ("y ~ (a + b):c", "y ~ 1 + a:c + b:c"),
        ("y ~ b + a:b", "y ~ 1 + b + b:a"),
        ("y ~ a + a + a:a", "y ~ 1 + a"),
        ("y ~ (a*b) - a", "y ~ 1 + b + b:a"),
        ("y ~ 1", "y ~ 1"),
        ("log(y) ~ log(x)*factor(g)", "log(y) ~ 1 + log(x) + factor(g) + log(x):factor(g)"),
        ("y ~ I(x^2) + I( x1*x2/3-(a-b) )", "y ~ 1 + I(x^2) + I(x1 * x2/3 - (a - b))"),
        ("y ~ x + offset(log(E)) + offset(o)", "y ~ 1 + x + offset(log(E)) + offset(o)"),
        ("`my y` ~ `a b` + x.1 + x_2", "`my y` ~ 1 + `a b` + x.1 + x_2"),
    ];
    for (text, expected) in cases {
        assert_eq!(shown(text), expected, "{text}");
    }
}

#[test]
fn an_effect_keeps_its_column_weights_and_options() {
    let text = "r ~ 1 + f(plate, w, model = \"iid\", precision = pc.prec(1, 1e-2, initial = -4), cyclic = TRUE, values = c(1, 2.5), g = 1:3)";
    let formula = Formula::parse(text).unwrap();
    let effect = &formula.effects[0];
    assert_eq!((effect.column.as_str(), effect.weights.as_deref()), ("plate", Some("w")));
    assert_eq!(effect.options[0], ("model".to_owned(), Value::Text("iid".to_owned())));
    let Value::Call { name, arguments } = &effect.options[1].1 else { panic!("{:?}", effect.options[1]) };
    assert_eq!((name.as_str(), arguments.len()), ("pc.prec", 3));
    assert_eq!(arguments[2], Argument { name: Some("initial".to_owned()), value: Value::Number(-4.0) });
    assert_eq!(effect.options[2].1, Value::Boolean(true));
    assert_eq!(effect.options[3].1, Value::List(vec![Value::Number(1.0), Value::Number(2.5)]));
    assert_eq!(effect.options[4].1.to_string(), "c(1, 2, 3)");
    assert_eq!(Formula::parse("y ~ f(x, weights = w)").unwrap().effects[0].weights.as_deref(), Some("w"));
    assert_eq!(Formula::parse(&formula.to_string()).unwrap(), formula);
}

#[test]
fn expressions_have_the_values_and_the_precedence_of_r() {
    let table = Table::new().with_numeric("x", &[2.0, f64::NAN]).unwrap();
    let cases = [
        ("-x^2", -4.0),
        ("2^3^2", 512.0),
        ("2^-x", 0.25),
        ("8/x/2", 2.0),
        ("8 - x - 1", 5.0),
        ("-x*3 + +1", -5.0),
        ("log(exp(x))", 2.0),
        ("sqrt(abs(-I(x + 2)))", 2.0),
        ("(x + 1)*(x - 1)", 3.0),
        ("(-x)^2", 4.0),
        ("(2^x)^3", 64.0),
        ("8/(x*2)", 2.0),
        ("1.5e1", 15.0),
        (".5e-1*x", 0.1),
    ];
    for (text, expected) in cases {
        let expression = Expression::parse(text).unwrap();
        let values = expression.evaluate(&table).unwrap();
        assert_eq!(values[0], expected, "{text}");
        assert!(values[1].is_nan() != expression.columns().is_empty(), "{text}");
        assert_eq!(Expression::parse(&expression.to_string()).unwrap(), expression, "{text}");
    }
}

#[test]
fn a_function_without_a_finite_value_names_the_row() {
    let table = Table::new().with_numeric("x", &[1.0, 0.0]).unwrap();
    let error = Expression::parse("log(x)").unwrap().evaluate(&table).unwrap_err();
    assert_eq!(error.to_string(), "log(x), row 2: the value is -inf; it must be finite");
}

#[test]
fn what_is_missing_does_not_pass_through_arithmetic_that_ignores_it() {
    let table = Table::new().with_numeric("x", &[1.0, f64::NAN]).unwrap();
    let values = Expression::parse("x^0").unwrap().evaluate(&table).unwrap();
    assert!(values[0] == 1.0 && values[1].is_nan());
}

#[test]
fn errors_say_where_and_what_to_do() {
    let cases = [
        ("", 1, "empty"),
        ("y", 2, "~ is expected"),
        ("~ x", 1, "response is missing"),
        ("y ~", 4, "a term is expected"),
        ("y ~ x +", 8, "a term is expected"),
        ("y ~ x ~ z", 7, "one ~ only"),
        ("y ~ x z", 7, "operator such as +"),
        ("y ~ x)", 6, "closes nothing"),
        ("y ~ (x", 7, ") is expected"),
        ("y ~ 2", 5, "only 0 and 1"),
        ("y ~ x^2.5", 7, "I(x^2)"),
        ("y ~ x:1", 7, "can only be added"),
        ("y ~ f(a):x", 5, "can only be added"),
        ("y ~ x - f(a)", 9, "leave them out"),
        ("y ~ .", 5, "name the columns"),
        ("y ~ 1|g", 6, "(1 | group)"),
        ("y ~ (1|)", 8, "column of the groups"),
        ("y ~ (1|a/b)", 9, "combinations"),
        ("y ~ (0|g)", 6, "no coefficient"),
        ("y ~ (offset(x)|g)", 6, "columns only"),
        ("y ~ poly(x, 2)", 5, "f(x, model = rw2)"),
        ("y ~ s(x)", 5, "f(x, model = rw2)"),
        ("y ~ lgo(x)", 5, "did you mean log()?"),
        ("cbind(y, n - y) ~ x", 1, "trials ="),
        ("y ~ f()", 7, "begins with the name of a column"),
        ("y ~ f(log(x))", 7, "compute this as a column"),
        ("y ~ f(x, 3)", 10, "column of weights"),
        ("y ~ f(x, w, v)", 13, "options of f() are named"),
        ("y ~ f(x, model = iid, model = rw1)", 23, "given twice"),
        ("y ~ f(x, model = )", 18, "a value is expected"),
        ("y ~ f(x, precision = pc.prec(1, u = 2, u = 3))", 40, "given twice"),
        ("y ~ f(x, values = 3:1)", 19, "range"),
        ("y ~ f(x", 8, "a comma or )"),
        ("y ~ x $ z", 7, "no meaning"),
        ("y ~ `x", 5, "closing `"),
        ("y ~ f(x, graph = \"a)", 18, "closing \""),
        ("y ~ x + 1e999", 9, "too large"),
        ("größe ~ ü + ?", 13, "no meaning"),
    ];
    for (text, column, message) in cases {
        let error = Formula::parse(text).unwrap_err();
        assert_eq!(error.column, column, "{error}");
        assert!(error.to_string().contains(message), "{text}: {error}");
    }
    let error = Formula::parse("y ~ x + lgo(z)").unwrap_err().to_string();
    assert!(error.contains("\n  y ~ x + lgo(z)\n          ^^^"), "{error}");
}

#[test]
fn hostile_formulas_end_at_once_with_an_error() {
    let many = |item: &str, joint: &str, count: usize| vec![item; count].join(joint);
    let names: Vec<String> = (0..60).map(|i| format!("x{i}")).collect();
    let sum = names.join("+");
    let cases = [
        format!("y ~ {}", "(".repeat(100_000)),
        format!("y ~ I({}x", "-".repeat(100_000)),
        format!("y ~ I({})", many("x", "^", 100_000)),
        format!("y ~ I({})", many("x", "+", 100_000)),
        format!("y ~ {}", "log(".repeat(100_000)),
        format!("y ~ f(x, v = {}", "c(".repeat(100_000)),
        format!("y ~ {}", names.join("*")),
        format!("y ~ ({sum})^50"),
        format!("y ~ {}", many(&format!("({})", names[..12].join("*")), "*", 50)),
        format!("y ~ {}", "x".repeat(LONGEST_TEXT)),
    ];
    for text in cases {
        assert!(Formula::parse(&text).is_err());
    }
    assert_eq!(shown(&format!("y ~ {}", many("x", "+", 100_000))), "y ~ 1 + x");
}

#[test]
fn values_are_read_by_themselves() {
    assert_eq!(Value::parse("-1e-3").unwrap(), Value::Number(-0.001));
    assert_eq!(Value::parse("'a \\' b'").unwrap(), Value::Text("a ' b".to_owned()));
    assert_eq!(Value::parse("`TRUE`").unwrap().to_string(), "`TRUE`");
    assert_eq!(Value::parse("false").unwrap(), Value::Boolean(false));
    assert!(Value::parse("a b").is_err() && Value::parse("").is_err());
}

#[test]
fn a_formula_serialises_as_its_text() {
    let formula = Formula::parse("y ~ x*g + f(u, model = rw1)").unwrap();
    let json = serde_json::to_string(&formula).unwrap();
    assert_eq!(json, "\"y ~ 1 + x + g + x:g + f(u, model = rw1)\"");
    assert_eq!(serde_json::from_str::<Formula>(&json).unwrap(), formula);
}

/// Texts made of the words and signs of formulas, most of them wrong.
fn formula_like() -> impl Strategy<Value = String> {
    let words = vec![
        "y", "x", "x.1", "`a b`", "f", "f(", "log(", "I(", "factor(", "offset(", "c(", "~", "+", "-", "*", "/", ":",
        "^", "(", ")", ",", "=", "|", "0", "1", "2", "1e-3", "TRUE", "\"t\"", "model", "pc.prec(", ".", " ",
    ];
    proptest::collection::vec(proptest::sample::select(words), 0..25).prop_map(|w| format!("y ~ {}", w.concat()))
}

/// Correct formulas.
fn correct() -> impl Strategy<Value = String> {
    let atom = proptest::sample::select(vec![
        "a",
        "b",
        "c",
        "`d e`",
        "log(a + 1)",
        "I(-a^2)",
        "I((a - b)^-c)",
        "factor(b)",
        "1",
        "0",
        "offset(a/(b*c))",
        "f(a, w, model = iid)",
        "f(b, model = rw2, precision = pc.prec(1, 1e-20, initial = -3e300))",
        "f(c, name = \"x\\\"y\", values = c(1, c(), `z z`), flag = FALSE)",
    ]);
    let simple = proptest::sample::select(vec!["a", "b", "c", "d", "log(a)", "factor(b)"]);
    let product = (proptest::collection::vec(simple, 1..4), proptest::sample::select(vec!["*", ":", "/"]))
        .prop_map(|(items, joint)| items.join(joint));
    let item = prop_oneof![atom.prop_map(str::to_owned), product.prop_map(|p| format!("({p})"))];
    proptest::collection::vec(item, 1..6).prop_map(|items| format!("y ~ {}", items.join(" + ")))
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>(), bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = Formula::parse(&text);
        let _ = Formula::parse(&format!("y ~ {text}"));
        let _ = Value::parse(&text);
        let _ = Expression::parse(&text);
        let _ = Formula::parse(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn formula_like_text_reads_back_or_fails_with_a_place(text in formula_like()) {
        match Formula::parse(&text) {
            Ok(formula) => {
                let again = formula.to_string();
                prop_assert_eq!(Formula::parse(&again).expect(&again), formula);
            }
            Err(error) => prop_assert!(error.column <= text.chars().count() + 1 && !error.message.is_empty()),
        }
    }

    #[test]
    fn every_correct_formula_reads_back(text in correct()) {
        let formula = Formula::parse(&text).expect(&text);
        let again = formula.to_string();
        prop_assert_eq!(Formula::parse(&again).expect(&again), formula);
    }
}
