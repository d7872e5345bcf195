//! How much memory the machine has.

/// Bytes of physical memory, `usize::MAX` where the system does not tell.
pub fn physical() -> usize {
    std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text)).unwrap_or(usize::MAX)
}

fn total(text: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::total;

    #[test]
    fn the_total_is_read_in_bytes_and_anything_else_is_no_answer() {
        assert_eq!(total("MemTotal:       24689764 kB\nMemFree: 3 kB\n"), Some(24_689_764 * 1024));
        assert_eq!(total("MemFree: 3 kB\n"), None);
        assert_eq!(total("MemTotal: many kB\n"), None);
    }
}
