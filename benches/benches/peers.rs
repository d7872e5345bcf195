//! The kernels beside CHOLMOD with OpenBLAS and MKL PARDISO, interleaved in one run: `scripts/install-peers`, then
//! `cargo bench -p benches --bench peers [-- NAMES]`. Without the peers it prints our own figures.
#![allow(clippy::print_stdout)] // the table is the result

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::patterns::{Matrix, NAMES, matrix};
use gmrf::{CholeskyFactor, LinearConstraints, Ordering, Parallelism, SelectedInverse, SymbolicFactor};

/// Each kernel is repeated for about this long; the shortest time counts.
const REPEAT: Duration = Duration::from_millis(1500);
/// Right-hand sides of a block.
const SIDES: usize = 64;
/// Order of the product that `dgemm`'s rate is measured with.
const DGEMM: f64 = 1024.0;

/// A peer that carries out commands on one matrix.
struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    entries: f64,
}

impl Peer {
    fn start(program: &str, matrix: &Path, options: &[&str], threads: usize) -> Option<Self> {
        let path = format!("{}/../target/peers/{program}", env!("CARGO_MANIFEST_DIR"));
        let threads = threads.to_string();
        let mut child = Command::new(path)
            .arg(matrix)
            .args(options)
            .env("OPENBLAS_NUM_THREADS", &threads)
            .env("OMP_NUM_THREADS", &threads)
            .env("MKL_NUM_THREADS", &threads)
            .env("MKL_THREADING_LAYER", "SEQUENTIAL")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let (input, output) = (child.stdin.take()?, BufReader::new(child.stdout.take()?));
        let mut peer = Self { child, input, output, entries: 0.0 };
        peer.entries = peer.line()?;
        Some(peer)
    }

    fn line(&mut self) -> Option<f64> {
        let mut line = String::new();
        self.output.read_line(&mut line).ok().filter(|&read| read > 0)?;
        line.trim().parse().ok()
    }

    /// Seconds that `command` takes.
    fn time(&mut self, command: &str) -> f64 {
        let sent = writeln!(self.input, "{command}").and_then(|()| self.input.flush());
        sent.ok().and_then(|()| self.line()).unwrap_or(f64::NAN)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // its only state is its own memory
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The shortest time of each of `COUNT` kernels, run in turn.
fn interleave<const COUNT: usize>(mut kernel: impl FnMut(usize) -> f64) -> [f64; COUNT] {
    let mut best = [f64::INFINITY; COUNT];
    let started = Instant::now();
    let mut rounds = 0;
    while rounds < 3 || started.elapsed() < REPEAT {
        for (k, best) in best.iter_mut().enumerate() {
            let time = kernel(k);
            *best = if time.is_nan() { time } else { best.min(time) };
        }
        rounds += 1;
    }
    best
}

fn timed<T>(work: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    std::hint::black_box(work());
    start.elapsed().as_secs_f64()
}

/// The same on one thread.
fn alone<T: Send>(work: impl FnOnce() -> T + Send) -> f64 {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    pool.install(|| timed(work))
}

fn write_matrix(matrix: &Matrix) -> PathBuf {
    let path = std::env::temp_dir().join(format!("inla-peers-{}-{}.bin", std::process::id(), matrix.name));
    let (n, nnz) = (matrix.pattern.order(), matrix.pattern.nnz());
    let mut bytes = Vec::with_capacity(16 + 4 * (n + 1) + 12 * nnz);
    bytes.extend((n as i64).to_ne_bytes());
    bytes.extend((nnz as i64).to_ne_bytes());
    (0..n).for_each(|j| bytes.extend((matrix.pattern.column_start(j) as i32).to_ne_bytes()));
    bytes.extend((nnz as i32).to_ne_bytes());
    matrix.pattern.entries().for_each(|(i, _)| bytes.extend((i as i32).to_ne_bytes()));
    matrix.values.iter().for_each(|v| bytes.extend(v.to_ne_bytes()));
    std::fs::write(&path, bytes).expect("room for the matrix");
    path
}

/// Bytes a second that one thread reads from memory.
fn bandwidth() -> f64 {
    let data = vec![1.0_f64; 1 << 25];
    let sum = || {
        // eight sums, so that additions do not wait for each other
        let mut sums = [0.0; 32];
        for chunk in data.chunks_exact(32) {
            sums.iter_mut().zip(chunk).for_each(|(s, x)| *s += x);
        }
        sums
    };
    8.0 * data.len() as f64 / (0..5).map(|_| timed(sum)).fold(f64::INFINITY, f64::min)
}

/// Our factor of one matrix.
struct Ours<'m> {
    values: &'m [f64],
    factor: CholeskyFactor,
    inverse: SelectedInverse,
    work: Vec<f64>,
    right: Vec<f64>,
}

impl<'m> Ours<'m> {
    fn new(matrix: &'m Matrix, symbolic: &Arc<SymbolicFactor>, parallelism: Parallelism) -> Self {
        let mut factor = CholeskyFactor::new(symbolic.clone());
        let mut inverse = SelectedInverse::new(symbolic);
        factor.set_parallelism(parallelism);
        inverse.set_parallelism(parallelism);
        let work = vec![0.0; SIDES * factor.work_length()];
        let right = vec![1.0; SIDES * matrix.pattern.order()];
        let mut ours = Self { values: &matrix.values, factor, inverse, work, right };
        ours.factor();
        ours
    }

    fn factor(&mut self) -> f64 {
        timed(|| self.factor.refactor(self.values).expect("diagonally dominant"))
    }

    fn inverse(&mut self) -> f64 {
        timed(|| self.inverse.compute(&self.factor).expect("the same analysis"))
    }

    fn solve(&mut self, sides: usize) -> f64 {
        let right = &mut self.right[..sides * self.factor.symbolic().order()];
        let work = &mut self.work[..sides * self.factor.work_length()];
        match sides {
            1 => timed(|| self.factor.solve_in_place(right, work).expect("sizes agree")),
            _ => timed(|| self.factor.solve_many_in_place(right, sides, work).expect("sizes agree")),
        }
    }
}

/// CHOLMOD in the better of its two orderings, and which that is.
fn cholmod(path: &Path) -> Option<(Peer, Ordering)> {
    let candidates = [("m", Ordering::NestedDissection), ("a", Ordering::MinimumDegree)];
    let started = candidates.map(|(option, ordering)| Some((Peer::start("cholmod", path, &[option], 1)?, ordering)));
    started.into_iter().flatten().min_by(|a, b| a.0.entries.total_cmp(&b.0.entries))
}

const TITLES: [(&str, &str); 8] = [
    ("matrix              n   nnz L CHOLMOD", "entries"),
    ("analysis ratio", "ms, to CHOLMOD's in the same ordering"),
    ("  factor CHOLMOD ratio PARDISO ratio", "ms"),
    ("Gmul/s /dgemm", "multiplications of the factor, to those of a product"),
    (" inverse ratio", "ms, to CHOLMOD's factor"),
    ("   solve ratio  GB/s", "ms, bytes of L read twice"),
    ("64 rhs /dgemm", "Gmul/s"),
    ("2 thr  inv  8 mod 16 mod", "speed-up, measured and modelled"),
];

fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let names = NAMES.into_iter().filter(|name| chosen.is_empty() || chosen.iter().any(|c| c == name));
    println!("one thread reads {:.1} GB/s from memory", bandwidth() / 1e9);
    TITLES.iter().for_each(|(title, meaning)| println!("  {title}: {meaning}"));
    println!("{}", TITLES.map(|(title, _)| title).join(" | "));
    names.for_each(compare);
}

/// Seconds that `command` takes a peer, NaN where there is none.
fn ask(peer: &mut Option<Peer>, command: &str) -> f64 {
    peer.as_mut().map_or(f64::NAN, |peer| peer.time(command))
}

fn compare(name: &'static str) {
    let matrix = matrix(name);
    let path = write_matrix(&matrix);
    let (mut cholmod, ordering) = cholmod(&path).map_or((None, Ordering::Automatic), |(peer, o)| (Some(peer), o));
    let mut pardiso = Peer::start("pardiso", &path, &[], 1);
    let none = LinearConstraints::none(matrix.pattern.order());
    let symbolic = SymbolicFactor::analyze(&matrix.pattern, &none).expect("a diagonal everywhere");
    let mut one = Ours::new(&matrix, &symbolic, Parallelism::Sequential);
    let mut two = Ours::new(&matrix, &symbolic, Parallelism::Tree);
    let entries = cholmod.as_ref().map_or(f64::NAN, |peer| peer.entries);
    let [analysis, their_analysis] = interleave(|k| match k {
        0 => alone(|| SymbolicFactor::analyze_with(&matrix.pattern, &none, ordering)),
        _ => ask(&mut cholmod, "a"),
    });
    let [factor, their_factor, pardiso_factor, inverse] = interleave(|k| match k {
        0 => one.factor(),
        1 => ask(&mut cholmod, "f"),
        2 => ask(&mut pardiso, "f"),
        _ => one.inverse(),
    });
    // without the peers, which leave the caches of one core to themselves
    let threads = interleave(|k| match k {
        0 => one.factor(),
        1 => two.factor(),
        2 => one.inverse(),
        _ => two.inverse(),
    });
    let [one_factor, two_factor, one_inverse, two_inverse] = threads;
    let [solve, their_solve, many, product] = interleave(|k| match k {
        0 => one.solve(1),
        1 => ask(&mut cholmod, "s"),
        2 => one.solve(SIDES),
        _ => ask(&mut cholmod, "d"),
    });
    let values = symbolic.factor_values() as f64;
    let (dgemm, rate) = (DGEMM.powi(3) / product, symbolic.operations() / factor);
    let many = 2.0 * values * SIDES as f64 / many;
    let cells = [
        format!("{name:<15} {:>5.0} {values:>7.1e} {:>7.1e}", matrix.pattern.order() as f64 / 1e3, entries),
        format!("{:>8.1} {:>5.2}", 1e3 * analysis, analysis / their_analysis),
        format!(
            "{:>8.2} {:>7.2} {:>5.2} {:>7.2} {:>5.2}",
            1e3 * factor,
            1e3 * their_factor,
            factor / their_factor,
            1e3 * pardiso_factor,
            factor / pardiso_factor
        ),
        format!("{:>6.1} {:>6.2}", rate / 1e9, rate / dgemm),
        format!("{:>8.2} {:>5.2}", 1e3 * inverse, inverse / their_factor),
        format!("{:>8.2} {:>5.2} {:>5.1}", 1e3 * solve, solve / their_solve, 16.0 * values / solve / 1e9),
        format!("{:>6.1} {:>6.2}", many / 1e9, many / dgemm),
        format!(
            "{:>5.2} {:>4.2} {:>6.1} {:>6.1}",
            one_factor / two_factor,
            one_inverse / two_inverse,
            symbolic.predicted_speed_up(8),
            symbolic.predicted_speed_up(16)
        ),
    ];
    println!("{}", cells.join(" | "));
    // what is left behind lies among the temporary files
    let _ = std::fs::remove_file(path);
}
