//! Whether chains agree, and what their draws are worth (Gelman et al. 2013, §11.4–11.5).

/// Split `R̂`: chains cut in halves, the spread between the halves against that within. 1 where they agree; NaN below four draws.
pub fn split_r_hat(chains: &[Vec<f64>]) -> f64 {
    let halves: Vec<&[f64]> = chains
        .iter()
        .flat_map(|chain| {
            let half = chain.len() / 2;
            [&chain[..half], &chain[chain.len() - half..]]
        })
        .collect();
    let n = halves.iter().map(|half| half.len()).min().unwrap_or(0) as f64;
    if n < 2.0 {
        return f64::NAN;
    }
    let moments: Vec<(f64, f64)> = halves.iter().map(|half| mean_and_variance(half)).collect();
    let within = moments.iter().map(|m| m.1).sum::<f64>() / moments.len() as f64;
    let means: Vec<f64> = moments.iter().map(|m| m.0).collect();
    let between = mean_and_variance(&means).1;
    if within > 0.0 { ((n - 1.0) / n + between / within).sqrt() } else { 1.0 }
}

/// The number of independent draws that chains of one length are worth: their autocorrelations summed over the initial monotone
/// sequence (Geyer 1992).
pub fn effective_draws(chains: &[Vec<f64>]) -> f64 {
    let length = chains.iter().map(Vec::len).min().unwrap_or(0);
    let total = (chains.len() * length) as f64;
    if length < 4 {
        return total;
    }
    let moments: Vec<(f64, f64)> = chains.iter().map(|chain| mean_and_variance(&chain[..length])).collect();
    let within = moments.iter().map(|m| m.1).sum::<f64>() / moments.len() as f64;
    let means: Vec<f64> = moments.iter().map(|m| m.0).collect();
    let between = if chains.len() > 1 { mean_and_variance(&means).1 } else { 0.0 };
    let variance = within * (length as f64 - 1.0) / length as f64 + between;
    if variance <= 0.0 {
        return total;
    }
    let covariance = |lag: usize| {
        let of = |(chain, (mean, _)): (&Vec<f64>, &(f64, f64))| {
            let pairs = chain[..length - lag].iter().zip(&chain[lag..length]);
            pairs.map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / length as f64
        };
        chains.iter().zip(&moments).map(of).sum::<f64>() / chains.len() as f64
    };
    let correlation = |lag: usize| 1.0 - (within * (length as f64 - 1.0) / length as f64 - covariance(lag)) / variance;
    let (mut sum, mut last, mut lag) = (-1.0, f64::INFINITY, 0);
    while 2 * lag + 1 < length {
        let pair = correlation(2 * lag) + correlation(2 * lag + 1);
        if pair <= 0.0 {
            break;
        }
        last = pair.min(last);
        sum += 2.0 * last;
        lag += 1;
    }
    // antithetic chains are worth more than they have draws, but no more than this is believed
    total / sum.max(1.0 / total.log10())
}

/// The least of what the chains are worth for the centre and for the 5 % and 95 % points (Vehtari et al. 2021, §4.3, without ranks).
pub fn least_effective_draws(chains: &[Vec<f64>]) -> f64 {
    let mut sorted: Vec<f64> = chains.concat();
    sorted.sort_by(f64::total_cmp);
    if sorted.is_empty() {
        return 0.0;
    }
    let tail = |share: f64| {
        let cut = sorted[(share * (sorted.len() - 1) as f64) as usize];
        let below = |chain: &Vec<f64>| chain.iter().map(|x| f64::from(u8::from(*x <= cut))).collect();
        effective_draws(&chains.iter().map(below).collect::<Vec<Vec<f64>>>())
    };
    effective_draws(chains).min(tail(0.05)).min(tail(0.95))
}

fn mean_and_variance(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_distr::{Distribution, StandardNormal};

    fn autoregression(rho: f64, length: usize, seed: u64) -> Vec<f64> {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut x: f64 = StandardNormal.sample(&mut random);
        let mut next = || {
            let noise: f64 = StandardNormal.sample(&mut random);
            x = rho * x + (1.0 - rho * rho).sqrt() * noise;
            x
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn an_autoregression_has_its_effective_sample_size() {
        for rho in [0.8, 0.0, -0.4] {
            let chains: Vec<Vec<f64>> = (0..4).map(|k| autoregression(rho, 20_000, k)).collect();
            let expected = 80_000.0 * (1.0 - rho) / (1.0 + rho);
            // the sum over some 60 lags has a relative error near √(2·60/8·10⁴) = 0.04, cut where a pair is negative
            assert!((effective_draws(&chains) / expected - 1.0).abs() < 0.12, "{rho}: {}", effective_draws(&chains));
            assert!((split_r_hat(&chains) - 1.0).abs() < 0.005);
        }
    }

    #[test]
    fn a_chain_elsewhere_is_found() {
        let mut chains: Vec<Vec<f64>> = (0..4).map(|k| autoregression(0.5, 500, k)).collect();
        chains[3].iter_mut().for_each(|x| *x += 1.0);
        assert!(split_r_hat(&chains) > 1.05);
        assert!(effective_draws(&chains) < 100.0 && least_effective_draws(&chains) < 100.0);
        // the centre mixes, the tail is visited once
        let mut chains: Vec<Vec<f64>> = (0..4).map(|k| autoregression(0.0, 500, k)).collect();
        chains[0][100..160].iter_mut().for_each(|x| *x = 2.5 + 0.01 * *x);
        let (least, centre) = (least_effective_draws(&chains), effective_draws(&chains));
        assert!(least < 0.5 * centre, "{least} {centre}");
        assert!(split_r_hat(&[vec![1.0, 2.0, 3.0]]).is_nan());
    }
}
