use gmrf::*;
use std::sync::Arc;
use std::time::Instant;
fn grid(dims: &[usize]) -> (Arc<SparsityPattern>, Vec<f64>) {
    let n: usize = dims.iter().product();
    let mut e = vec![];
    for i in 0..n {
        let mut stride = 1;
        for &d in dims {
            if (i / stride) % d + 1 < d {
                e.push((i, i + stride));
            }
            stride *= d;
        }
    }
    let p = Arc::new(SparsityPattern::from_entries(n, e.iter().copied()).unwrap());
    let mut v: Vec<f64> = p.entries().map(|(i, j)| if i == j { 0.1 } else { -1.0 }).collect();
    for (i, j) in e {
        v[p.column_start(i)] += 1.0;
        v[p.column_start(j)] += 1.0;
    }
    (p, v)
}
fn best(mut f: impl FnMut()) -> f64 {
    let t0 = Instant::now();
    let mut b = f64::MAX;
    let mut k = 0;
    while k < 5 || (t0.elapsed().as_secs_f64() < 0.7 && k < 2000) {
        let t = Instant::now();
        f();
        b = b.min(t.elapsed().as_secs_f64());
        k += 1;
    }
    b * 1e3
}
fn main() {
    let which: Vec<String> = std::env::args().skip(1).collect();
    for (name, dims) in [
        ("10", vec![10, 10]),
        ("32", vec![32, 32]),
        ("100", vec![100, 100]),
        ("316", vec![316, 316]),
        ("1000", vec![1000, 1000]),
        ("3d20", vec![20, 20, 20]),
        ("3d40", vec![40, 40, 40]),
        ("3d50", vec![50, 50, 50]),
    ] {
        if !which.iter().any(|w| w == name) {
            continue;
        }
        let (p, v) = grid(&dims);
        let none = LinearConstraints::none(p.order());
        let t = Instant::now();
        let s = SymbolicFactor::analyze(&p, &none).unwrap();
        let an = t.elapsed().as_secs_f64() * 1e3;
        let mut f = CholeskyFactor::new(s.clone());
        let mut inv = SelectedInverse::new(&s);
        f.set_parallelism(Parallelism::Sequential);
        inv.set_parallelism(Parallelism::Sequential);
        let f1 = best(|| f.refactor(&v).unwrap());
        let i1 = best(|| inv.compute(&f).unwrap());
        f.set_parallelism(Parallelism::Tree);
        inv.set_parallelism(Parallelism::Tree);
        let f2 = best(|| f.refactor(&v).unwrap());
        let i2 = best(|| inv.compute(&f).unwrap());
        let mut b = vec![1.0; p.order()];
        let mut w = vec![0.0; f.work_length()];
        let sv = best(|| f.solve_in_place(&mut b, &mut w).unwrap());
        let mut b = vec![1.0; 32 * p.order()];
        let mut w = vec![0.0; 32 * f.work_length()];
        let sm = best(|| f.solve_many_in_place(&mut b, 32, &mut w).unwrap());
        println!("   32 rhs: {sm:.3} ({:.1} GF)", 64.0 * f.symbolic().factor_values() as f64 / sm / 1e6);
        println!(
            "{name}: analyze {an:.2} factor {f1:.4} ({:.1} GF) inv {i1:.4} | par {f2:.4} {i2:.4} x{:.2} x{:.2}| solve {sv:.4} ({:.1} GB/s) mem {:?} logdet {:.9}",
            s.operations() * 2.0 / f1 / 1e6 / 2.0,
            f1 / f2,
            i1 / i2,
            16.0 * s.factor_values() as f64 / sv / 1e6,
            s.memory(),
            f.log_determinant()
        );
    }
}
