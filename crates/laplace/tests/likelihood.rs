//! Every family and link: derivatives against differences and 300-digit references, normalisation, bad input.
#![allow(clippy::unwrap_used)] // what fails in a helper fails the test

use std::sync::Arc;

use gmrf::prior::Normal;
use gmrf::{Hyperparameter, HyperparameterBlock};
use laplace::likelihood::{Binomial, Gaussian, Poisson, Weighted};
use laplace::{Derivatives, Likelihood, Link, Order, contract};

fn block() -> HyperparameterBlock {
    let prior = Arc::new(Normal::new(0.0, 1.0).unwrap());
    HyperparameterBlock::single(Hyperparameter::log_precision("precision", 0.0), prior)
}

fn obeys(likelihood: &dyn Likelihood, theta: &[f64], eta: &[f64]) {
    contract::check(likelihood, theta, eta).unwrap();
}

const MISSING: f64 = f64::NAN;

#[test]
fn gaussian_obeys_the_contract() {
    let y = [1.5, -2.0, MISSING, 0.3];
    let likelihood = Gaussian::new(&y, Some(&[1.0, 2.0, 1.0, 0.5]), block()).unwrap();
    obeys(&likelihood, &[0.7], &[1.0, -1.0, 0.0, 4.0]);
    let weighted = Weighted::new(Arc::new(likelihood), &[1.0, 0.5, 2.0, 3.0]).unwrap();
    obeys(&weighted, &[-1.2], &[1.0, -1.0, 0.0, 4.0]);
}

#[test]
fn poisson_obeys_the_contract() {
    let counts = [0.0, 3.0, MISSING, 12.0];
    let likelihood = Poisson::new(&counts, Some(&[1.0, 0.5, 2.0, 10.0]), Link::Log).unwrap();
    obeys(&likelihood, &[], &[-3.0, 1.0, 0.0, 0.4]);
    obeys(&Poisson::new(&counts, None, Link::Identity).unwrap(), &[], &[0.5, 2.0, 1.0, 9.0]);
}

#[test]
fn binomial_obeys_the_contract_under_every_link() {
    let (y, n) = ([0.0, 3.0, MISSING, 5.0, 1.0], [4.0, 7.0, 1.0, 5.0, 1.0]);
    for link in [Link::Logit, Link::Probit, Link::Cloglog, Link::Loglog] {
        obeys(&Binomial::new(&y, Some(&n), link).unwrap(), &[], &[-1.5, 0.3, 0.0, 1.2, -0.4]);
    }
    obeys(&Binomial::new(&y, Some(&n), Link::Log).unwrap(), &[], &[-1.5, -0.3, -1.0, -0.2, -0.4]);
    obeys(&Binomial::new(&y, Some(&n), Link::Identity).unwrap(), &[], &[0.2, 0.3, 0.5, 0.9, 0.4]);
}

/// A Poisson likelihood with a derivative that is not one.
#[derive(Debug)]
struct Wrong(Poisson);

impl Likelihood for Wrong {
    fn family(&self) -> &'static str {
        "wrong"
    }
    fn len(&self) -> usize {
        self.0.len()
    }
    fn link(&self) -> Link {
        self.0.link()
    }
    fn hyperparameters(&self) -> &[HyperparameterBlock] {
        self.0.hyperparameters()
    }
    fn is_observed(&self, row: usize) -> bool {
        self.0.is_observed(row)
    }
    fn evaluate(
        &self,
        theta: &[f64],
        rows: std::ops::Range<usize>,
        eta: &[f64],
        order: Order,
        out: &mut Derivatives,
    ) -> Result<(), laplace::LaplaceError> {
        self.0.evaluate(theta, rows, eta, order, out)?;
        out.third.iter_mut().for_each(|d| *d = -*d);
        Ok(())
    }
    fn cumulative(&self, theta: &[f64], row: usize, eta: f64) -> Option<f64> {
        self.0.cumulative(theta, row, eta)
    }
    fn initial_predictor(&self, row: usize) -> Option<f64> {
        self.0.initial_predictor(row)
    }
}

#[test]
fn the_contract_names_a_wrong_derivative() {
    let wrong = Wrong(Poisson::new(&[2.0, 1.0], None, Link::Log).unwrap());
    let message = contract::check(&wrong, &[], &[0.5, 1.0]).unwrap_err();
    assert!(message.contains("wrong") && message.contains("row 0") && message.contains("derivative 3"), "{message}");
}

#[test]
fn densities_add_up_to_one() {
    let value = |likelihood: &dyn Likelihood, theta: &[f64], eta: f64| {
        let mut out = Derivatives::zeros(1, theta.len());
        likelihood.evaluate(theta, 0..1, &[eta], Order::Value, &mut out).unwrap();
        out.value[0].exp()
    };
    let poisson = |y: f64| Poisson::new(&[y], Some(&[2.5]), Link::Log).unwrap();
    let total: f64 = (0..200).map(|y| value(&poisson(f64::from(y)), &[], 1.1)).sum();
    assert!((total - 1.0).abs() < 1e-12, "{total}");
    for link in Binomial::LINKS {
        let eta = if link == Link::Log { -0.4 } else { 0.3 };
        let one = |y: u32| Binomial::new(&[f64::from(y)], Some(&[9.0]), link).unwrap();
        let total: f64 = (0..=9).map(|y| value(&one(y), &[], eta)).sum();
        assert!((total - 1.0).abs() < 1e-12, "{link:?} {total}");
        let mut below = 0.0;
        for y in 0..=9 {
            below += value(&one(y), &[], eta);
            assert!((one(y).cumulative(&[], 0, eta).unwrap() - below).abs() < 1e-10, "{link:?} {y}");
        }
    }
    let gaussian = |y: f64| Gaussian::new(&[y], None, block()).unwrap();
    let total: f64 = (-2000..=2000).map(|k| 0.01 * value(&gaussian(0.01 * f64::from(k)), &[0.4], 0.3)).sum();
    assert!((total - 1.0).abs() < 1e-12, "{total}");
    let below: f64 = (0..=4).map(|y| value(&poisson(f64::from(y)), &[], 1.1)).sum();
    assert!((poisson(4.0).cumulative(&[], 0, 1.1).unwrap() - below).abs() < 1e-10);
}

#[test]
fn log_probabilities_agree_with_a_three_hundred_digit_reference() {
    for &(link, eta, success, expected) in REFERENCE {
        let likelihood = Binomial::new(&[f64::from(u8::from(success))], None, link).unwrap();
        let mut out = Derivatives::zeros(1, 0);
        likelihood.evaluate(&[], 0..1, &[eta], Order::Fourth, &mut out).unwrap();
        let found = [out.value[0], out.first[0], out.second[0], out.third[0], out.fourth[0]];
        for (order, (f, e)) in found.iter().zip(expected).enumerate() {
            // the fourth derivative of log Φ cancels two or three digits above the tail
            assert!((f - e).abs() <= 1e-11 * e.abs(), "{link:?} at {eta}, {success}, order {order}: {f} against {e}");
        }
    }
}

#[test]
fn nothing_is_undefined_far_out() {
    let families: Vec<Box<dyn Likelihood>> = Binomial::LINKS
        .into_iter()
        .map(|link| Box::new(Binomial::new(&[1.0, 0.0], None, link).unwrap()) as Box<dyn Likelihood>)
        .chain(Poisson::LINKS.into_iter().map(|link| Box::new(Poisson::new(&[1.0, 0.0], None, link).unwrap()) as _))
        .collect();
    for likelihood in &families {
        for eta in [-1e6, -700.0, -40.0, 40.0, 700.0, 1e6] {
            let mut out = Derivatives::zeros(2, 0);
            likelihood.evaluate(&[], 0..2, &[eta, eta], Order::Fourth, &mut out).unwrap();
            for i in 0..2 {
                assert!(!out.value[i].is_nan() && out.value[i] < 1e-9, "{likelihood:?} {eta}");
                for d in [out.first[i], out.second[i], out.third[i], out.fourth[i]] {
                    assert!(d.is_finite(), "{likelihood:?} {eta}: {d}");
                }
            }
        }
    }
}

#[test]
fn bad_observations_name_their_row_and_what_is_wrong() {
    let poisson = |y: &[f64], e: Option<&[f64]>| Poisson::new(y, e, Link::Log).map(|_| ()).unwrap_err().to_string();
    let binomial = |y: &[f64], n: &[f64]| Binomial::new(y, Some(n), Link::Logit).map(|_| ()).unwrap_err().to_string();
    for (error, words) in [
        (poisson(&[1.0, -2.0], None), "observation 1: the count is -2; counts cannot be negative"),
        (poisson(&[1.5], None), "whole numbers"),
        (poisson(&[f64::INFINITY], None), "inf"),
        (poisson(&[1.0], Some(&[0.0])), "exposure is 0"),
        (poisson(&[1.0], Some(&[1.0, 2.0])), "length"),
        (binomial(&[3.0], &[2.0]), "3 successes in 2 trials"),
        (binomial(&[0.0], &[0.0]), "positive"),
        (binomial(&[1.0], &[1.5]), "whole numbers"),
        (Gaussian::new(&[1.0], Some(&[-1.0]), block()).map(|_| ()).unwrap_err().to_string(), "scale is -1"),
        (Poisson::new(&[1.0], None, Link::Logit).map(|_| ()).unwrap_err().to_string(), "log, identity"),
    ] {
        assert!(error.contains(words), "{error}");
    }
    let counts: Arc<dyn Likelihood> = Arc::new(Poisson::new(&[1.0], None, Link::Log).unwrap());
    assert!(Weighted::new(counts.clone(), &[-1.0]).unwrap_err().to_string().contains("weight is -1"));
    assert!(Weighted::new(counts, &[1.0, 1.0]).is_err());
}

/// Computed with 300 digits: link, `η`, whether `log p` (else `log(1 − p)`), value and four derivatives.
type Reference = (Link, f64, bool, [f64; 5]);

#[rustfmt::skip]
#[allow(clippy::excessive_precision)] // shortest decimals of the reference's doubles
const REFERENCE: &[Reference] = &[
    (Link::Logit, -30.0, true, [-30.000000000000092, 0.9999999999999064, -9.357622968838423e-14, -9.357622968836672e-14, -9.35762296883317e-14]),
    (Link::Logit, -30.0, false, [-9.357622968839737e-14, -9.357622968839299e-14, -9.357622968838423e-14, -9.357622968836672e-14, -9.35762296883317e-14]),
    (Link::Logit, -8.5, true, [-8.50020344767213, 0.9997965730219448, -0.00020338559551980585, -0.00020330284728565273, -0.00020313740131701618]),
    (Link::Logit, -8.5, false, [-0.0002034476721294431, -0.00020342697805520653, -0.00020338559551980585, -0.00020330284728565273, -0.00020313740131701618]),
    (Link::Logit, -2.25, true, [-2.350206558916747, 0.9046505351008906, -0.08625794444256298, -0.06980864675077199, -0.04161534656582529]),
    (Link::Logit, -2.25, false, [-0.10020655891674721, -0.09534946489910949, -0.08625794444256298, -0.06980864675077199, -0.04161534656582529]),
    (Link::Logit, -0.75, true, [-1.1368710061148999, 0.679178699175393, -0.21789499376181404, -0.07808428307814441, 0.06697437607695182]),
    (Link::Logit, -0.75, false, [-0.38687100611489994, -0.320821300824607, -0.21789499376181404, -0.07808428307814441, 0.06697437607695182]),
    (Link::Logit, 0.5, true, [-0.4740769841801067, 0.37754066879814546, -0.2350037122015945, 0.05755679485232074, 0.09635675628958461]),
    (Link::Logit, 0.5, false, [-0.9740769841801067, -0.6224593312018546, -0.2350037122015945, 0.05755679485232074, 0.09635675628958461]),
    (Link::Logit, 1.75, true, [-0.16022415043808722, 0.14804719803168948, -0.1261292251866552, 0.0887830684290706, -0.030677736509539345]),
    (Link::Logit, 1.75, false, [-1.9102241504380872, -0.8519528019683106, -0.1261292251866552, 0.0887830684290706, -0.030677736509539345]),
    (Link::Logit, 5.0, true, [-0.006715348489118068, 0.0066928509242848554, -0.006648056670790155, 0.006559067766322563, -0.00638287672580193]),
    (Link::Logit, 5.0, false, [-5.006715348489118, -0.9933071490757152, -0.006648056670790155, 0.006559067766322563, -0.00638287672580193]),
    (Link::Logit, 30.0, true, [-9.357622968839737e-14, 9.357622968839299e-14, -9.357622968838423e-14, 9.357622968836672e-14, -9.35762296883317e-14]),
    (Link::Logit, 30.0, false, [-30.000000000000092, -0.9999999999999064, -9.357622968838423e-14, 9.357622968836672e-14, -9.35762296883317e-14]),
    (Link::Probit, -30.0, true, [-454.3212439563432, 30.033259667433676, -0.9988962284881099, 7.309993015784438e-05, 7.245937210980342e-06]),
    (Link::Probit, -30.0, false, [-4.906713927148187e-198, -1.4736461348785476e-196, -4.420938404635642e-195, -1.3248078752558141e-193, -3.965581748958171e-192]),
    (Link::Probit, -8.5, true, [-39.19739642821767, 8.614595320165172, -0.9871923088077279, 0.002794542085349912, 0.0008932178617452793]),
    (Link::Probit, -8.5, false, [-9.479534822203318e-18, -8.16623563166955e-17, -6.941300286919117e-16, -5.818442887564555e-15, -4.806850448691489e-14]),
    (Link::Probit, -2.25, true, [-4.404315381153271, 2.596402538686962, -0.8994004308544371, 0.05035761582377058, 0.03276594413594242]),
    (Link::Probit, -2.25, false, [-0.012299806091449409, -0.03213245414267401, -0.07333051643024757, -0.1375737867382901, -0.18247588336771545]),
    (Link::Probit, -0.75, true, [-1.4844482299196562, 1.328777965221207, -0.769067406941506, 0.1382611278000322, 0.09146462675894006]),
    (Link::Probit, -0.75, false, [-0.25699426683836524, -0.389382056735927, -0.44365492865984596, -0.28886167696416104, 0.05204910037123717]),
    (Link::Probit, 0.5, true, [-0.3689464152886564, 0.5091604338370335, -0.5138245643036329, 0.27099012446870785, 0.08816780192919756]),
    (Link::Probit, 0.5, false, [-1.1759117615936185, -1.1410777703680646, -0.731519592844121, -0.16260392517612296, 0.10301187006051434]),
    (Link::Probit, 1.75, true, [-0.04088361815209493, 0.08987774553340024, -0.16536406382561705, 0.22923446465920513, -0.1663288864764709]),
    (Link::Probit, 1.75, false, [-3.217397995800274, -2.1537477466092247, -0.8695707994581698, -0.07017565403940883, 0.047360929436253196]),
    (Link::Probit, 5.0, true, [-2.866516129637636e-07, 1.4867199409049056e-06, -7.433601914860711e-06, 3.568131173676705e-05, -0.00016353957146722403]),
    (Link::Probit, 5.0, false, [-15.064998393988725, -5.186503967125842, -0.9673035653828878, -0.0108257645063567, 0.0050878369738874465]),
    (Link::Probit, 30.0, true, [-4.906713927148187e-198, 1.4736461348785476e-196, -4.420938404635642e-195, 1.3248078752558141e-193, -3.965581748958171e-192]),
    (Link::Probit, 30.0, false, [-454.3212439563432, -30.033259667433676, -0.9988962284881099, -7.309993015784438e-05, 7.245937210980342e-06]),
    (Link::Cloglog, -30.0, true, [-30.000000000000046, 0.9999999999999533, -4.6788114844199416e-14, -4.678811484419795e-14, -4.6788114844195037e-14]),
    (Link::Cloglog, -30.0, false, [-9.357622968840175e-14, -9.357622968840175e-14, -9.357622968840175e-14, -9.357622968840175e-14, -9.357622968840175e-14]),
    (Link::Cloglog, -8.5, true, [-8.500101732459532, 0.9998982692654428, -0.00010172728460913363, -0.00010172038471296423, -0.00010170658492068253]),
    (Link::Cloglog, -8.5, false, [-0.00020346836901064417, -0.00020346836901064417, -0.00020346836901064417, -0.00020346836901064417, -0.00020346836901064417]),
    (Link::Cloglog, -2.25, true, [-2.302236780268244, 0.9482259660734057, -0.05084879819599949, -0.04899935424365353, -0.04530457456301201]),
    (Link::Cloglog, -2.25, false, [-0.10539922456186433, -0.10539922456186433, -0.10539922456186433, -0.10539922456186433, -0.10539922456186433]),
    (Link::Cloglog, -0.75, true, [-0.9769034125690115, 0.7823421202590408, -0.1992693232832301, -0.1628998406277824, -0.09177704125688187]),
    (Link::Cloglog, -0.75, false, [-0.4723665527410147, -0.4723665527410147, -0.4723665527410147, -0.4723665527410147, -0.4723665527410147]),
    (Link::Cloglog, 0.5, true, [-0.21355918537343416, 0.3925222382799095, -0.4087112327392714, -0.06116359745295523, 0.45414656998043706]),
    (Link::Cloglog, 0.5, false, [-1.6487212707001282, -1.6487212707001282, -1.6487212707001282, -1.6487212707001282, -1.6487212707001282]),
    (Link::Cloglog, 1.75, true, [-0.0031731944094198898, 0.018289475724354246, -0.08729369514402828, 0.3129912824205663, -0.6154060629082214]),
    (Link::Cloglog, 1.75, false, [-5.754602676005731, -5.754602676005731, -5.754602676005731, -5.754602676005731, -5.754602676005731]),
    (Link::Cloglog, 5.0, true, [-3.507389196464623e-65, 5.205427108495624e-63, -7.673484545415308e-61, 1.1234470593479691e-58, -1.6334091347638072e-56]),
    (Link::Cloglog, 5.0, false, [-148.4131591025766, -148.4131591025766, -148.4131591025766, -148.4131591025766, -148.4131591025766]),
    (Link::Loglog, -2.25, true, [-9.487735836358526, 9.487735836358526, -9.487735836358526, 9.487735836358526, -9.487735836358526]),
    (Link::Loglog, -2.25, false, [-7.577834838912646e-05, -0.000718992193307974, -0.006103132754976146, -0.04498894680956558, -0.2730052712291382]),
    (Link::Loglog, -0.75, true, [-2.117000016612675, 2.117000016612675, -2.117000016612675, 2.117000016612675, -2.117000016612675]),
    (Link::Loglog, -0.75, false, [-0.1282792232504452, -0.28975463702226745, -0.40761368404337817, -0.07810983058886378, 0.6476138962685326]),
    (Link::Loglog, 0.5, true, [-0.6065306597126334, 0.6065306597126334, -0.6065306597126334, 0.6065306597126334, -0.6065306597126334]),
    (Link::Loglog, 0.5, false, [-0.7879837387044486, -0.7272049559653765, -0.24269419370320505, 0.18358798508596721, -0.0696941643280492]),
    (Link::Loglog, 1.75, true, [-0.17377394345044514, 0.17377394345044514, -0.17377394345044514, 0.17377394345044514, -0.17377394345044514]),
    (Link::Loglog, 1.75, false, [-1.8356290638899615, -0.915628211300484, -0.0818591350410023, 0.07684140855725193, -0.06683624261424856]),
    (Link::Loglog, 5.0, true, [-0.006737946999085467, 0.006737946999085467, -0.006737946999085467, 0.006737946999085467, -0.006737946999085467]),
    (Link::Loglog, 5.0, false, [-5.003367081836518, -0.9966348098250748, -0.0033614068560331545, 0.003353840235425208, -0.003338707062914064]),
    (Link::Loglog, 30.0, true, [-9.357622968840175e-14, 9.357622968840175e-14, -9.357622968840175e-14, 9.357622968840175e-14, -9.357622968840175e-14]),
    (Link::Loglog, 30.0, false, [-30.000000000000046, -0.9999999999999533, -4.6788114844199416e-14, 4.678811484419795e-14, -4.6788114844195037e-14]),
];
