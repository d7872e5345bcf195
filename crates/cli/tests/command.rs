//! The command as a user runs it: the documented examples, the JSON and its schema, and what it refuses.
#![allow(clippy::unwrap_used)] // what fails in a helper fails the test

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn inla(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_inla")).args(arguments).current_dir(root()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Whether two words of a summary say the same, numbers to 1 %: another processor's vector instructions round otherwise,
/// the search for the mode then ends elsewhere within its tolerance, and a flat maximum moves by half a percent. Powers of
/// ten are moments that the prior makes infinite: any such number will do.
fn same(a: &str, b: &str) -> bool {
    match (a.trim_end_matches(['%', ')', ',']).parse::<f64>(), b.trim_end_matches(['%', ')', ',']).parse::<f64>()) {
        (Ok(_), Ok(_)) if a.contains('e') && b.contains('e') => true,
        (Ok(x), Ok(y)) => (x - y).abs() <= 2e-4 + 1e-2 * x.abs(),
        _ => a == b,
    }
}

#[test]
fn the_documented_output_of_every_example_is_what_the_command_prints() {
    let documented = std::fs::read_to_string(root().join("docs/examples.md")).unwrap();
    let mut models = 0;
    for section in documented.split("$ inla fit ").skip(1) {
        let (model, rest) = section.split_once('\n').unwrap();
        let expected = rest.split("```").next().unwrap();
        let output = inla(&["fit", model]);
        assert!(output.status.success(), "{model}: {}", text(&output.stderr));
        let found = text(&output.stdout);
        // counts of evaluations and the time depend on the machine
        let lines =
            |text: &str| text.lines().filter(|l| !l.contains(" design of ")).map(str::to_owned).collect::<Vec<_>>();
        let (expected, found) = (lines(expected), lines(&found));
        assert_eq!(expected.len(), found.len(), "{model}; run scripts/example-outputs");
        for (e, f) in expected.iter().zip(&found) {
            let (e_words, f_words) = (e.split_whitespace(), f.split_whitespace());
            let agree =
                e_words.clone().count() == f_words.clone().count() && e_words.zip(f_words).all(|(e, f)| same(e, f));
            assert!(agree, "{model}; run scripts/example-outputs if this is meant\n{e}\n{f}");
        }
        models += 1;
    }
    let files = std::fs::read_dir(root().join("examples"))
        .unwrap()
        .filter_map(|entry| std::fs::read_dir(entry.ok()?.path()).ok());
    let files = files.flatten().filter(|f| f.as_ref().unwrap().path().extension().is_some_and(|e| e == "toml")).count();
    assert_eq!(models, files, "docs/examples.md shows every example");
}

#[test]
fn the_json_obeys_its_schema() {
    let schema: Value =
        serde_json::from_str(&std::fs::read_to_string(root().join("docs/fit.schema.json")).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for arguments in [
        vec!["fit", "examples/seeds/model.toml", "--json", "-", "--marginals"],
        vec!["fit", "examples/nc_sids/bym2.toml", "--json", "-"],
        vec!["fit", "examples/vans/model.toml", "--json", "-", "--threads", "1"],
    ] {
        let output = inla(&arguments);
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{arguments:?}: {errors:?}");
        assert_eq!(value["linear_predictor"].as_array().unwrap().len(), value["fitted"].as_array().unwrap().len());
        let weights: f64 = value["design"].as_array().unwrap().iter().map(|p| p["weight"].as_f64().unwrap()).sum();
        // weights are normalised; the sum rounds
        assert!((weights - 1.0).abs() < 1e-12);
    }
    let mut broken: Value =
        serde_json::from_slice(&inla(&["fit", "examples/seeds/model.toml", "--json", "-"]).stdout).unwrap();
    broken["fixed"]["x1"]["mean"] = "a lot".into();
    assert!(!validator.is_valid(&broken), "the schema refuses what is not a summary");
}

#[test]
fn results_are_named_as_documented() {
    let output = inla(&["fit", "examples/nc_sids/bym2.toml", "--json", "-"]);
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    for path in [
        "/fixed/(Intercept)/q0.025",
        "/hyper/county.precision/mean",
        "/hyper/county.sd/mode",
        "/hyper/county.phi/q0.975",
        "/hyper_internal/county.phi/sd",
        "/random/county/1/mean",
        "/random/county:structured/100/mean",
        "/linear_predictor/99/q0.5",
        "/log_marginal_likelihood",
        "/dic/dic",
        "/waic/waic",
        "/cpo/0",
        "/pit/0",
        "/mode/theta/1",
        "/mode/hessian/1/1",
        "/timing/total",
    ] {
        assert!(value.pointer(path).is_some_and(Value::is_number), "{path}");
    }
}

#[test]
fn a_fit_is_verified_by_chains() {
    let output = inla(&["verify", "examples/seeds/model.toml", "--draws", "300"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    assert!(["4 chains of 300 draws", "R̂ up to", "of 47 scalars differ", "diff/sd"].iter().all(|w| table.contains(w)));
    let output = inla(&["verify", "examples/seeds/model.toml", "--draws", "300", "--json", "-"]);
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    let scalars = value["scalars"].as_array().unwrap();
    assert_eq!((scalars.len(), value["draws"].as_u64()), (47, Some(300)));
    // the largest difference stands first
    let sizes: Vec<f64> = scalars.iter().map(|s| s["difference"].as_f64().unwrap().abs()).collect();
    assert!(sizes.windows(2).all(|pair| pair[0] >= pair[1]));
    assert!(scalars.iter().any(|s| s["name"] == "plate.precision" && s["kind"] == "hyperparameter"));
    let output = inla(&["verify", "examples/seeds/model.toml", "--chains", "1"]);
    assert!(!output.status.success() && text(&output.stderr).contains("chains"), "{}", text(&output.stderr));
    let output = inla(&["verify", "examples/seeds/model.toml", "--draws", &usize::MAX.to_string()]);
    assert!(output.status.code() == Some(1) && text(&output.stderr).contains("draws"), "{}", text(&output.stderr));
}

/// A folder of its own for one model.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("inla-command-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.0.join(name), content).unwrap();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // a folder that cannot be removed is the system's to clean
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const DATA: &str = "y,x,place,note\n1,0.5,1,a\n2,1.5,2,b\n4,2.5,3,c\n3,oops,4,d\n";

#[test]
fn bad_files_are_refused_by_name_and_line() {
    let scratch = Scratch::new("bad");
    scratch.write("data.csv", DATA);
    scratch.write("short.graph", "3\n1 1 2\n2 2 1 3\n3 1 2\n");
    scratch.write("skew.graph", "4\n1 1 2\n2 1 3\n3 1 2\n4 0\n");
    scratch.write("broken.graph", "4\n1 1 2\n2 x 1\n");
    scratch.write("empty.csv", "y,x\n");
    let model = |data: &str, formula: &str, more: &str| {
        format!("data = \"{data}\"\n[model]\nformula = '{formula}'\nfamily = \"poisson\"\n{more}")
    };
    let areal = |graph: &str| format!("y ~ 1 + f(place, model = besag, graph = \"{graph}\")");
    for (content, words) in [
        (model("absent.csv", "y ~ 1", ""), vec!["absent.csv"]),
        (model("empty.csv", "y ~ 1", ""), vec!["no rows"]),
        (model("data.csv", "x ~ 1", ""), vec!["\"x\"", "line 5", "oops"]),
        (model("data.csv", &areal("short.graph"), ""), vec!["place", "4", "3"]),
        (model("data.csv", &areal("skew.graph"), ""), vec!["skew.graph", "2"]),
        (model("data.csv", &areal("broken.graph"), ""), vec!["broken.graph", "line 3"]),
        (model("data.csv", "y ~ 1", "[fit]\nintegrate = \"grid\"\n"), vec!["integrate", "integration"]),
        (model("data.csv", "y ~ 1", "[effect.plaec]\nprecision = \"flat\"\n"), vec!["plaec"]),
        (model("data.csv", "y ~ 1", "trails = \"n\"\n"), vec!["trails", "trials"]),
        ("data = ".to_owned(), vec!["line 1"]),
    ] {
        scratch.write("model.toml", &content);
        let output = inla(&["fit", scratch.0.join("model.toml").to_str().unwrap()]);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{content}: {message}");
        for word in words {
            assert!(message.contains(word), "{content}: {message} lacks {word}");
        }
    }
    let output = inla(&["fit", "examples/seeds/model.toml", "--json", "/nowhere/at/all.json", "--quiet"]);
    assert!(text(&output.stderr).contains("/nowhere/at/all.json"));
}
