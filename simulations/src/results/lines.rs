//! Which lines of two texts differ, for people. It is no diff that could be applied.

/// More lines than these help nobody.
const SHOWN: usize = 12;

/// `- ` lines that only `old` has and `+ ` lines that only `new` has, in order, the first few of them.
pub fn differing(old: &str, new: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let found = walk(&old, &new);
    let mut shown: Vec<String> = found.iter().take(SHOWN).cloned().collect();
    if found.len() > SHOWN {
        shown.push(format!("  and {} more", found.len() - SHOWN));
    }
    if found.is_empty() {
        shown.push("  only ends of lines".into());
    }
    shown.join("\n")
}

fn walk(old: &[&str], new: &[&str]) -> Vec<String> {
    // Lengths of the longest common subsequence of all tails: experiments have some hundred lines.
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut found) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || i < old.len() && common[i + 1][j] >= common[i][j + 1] {
            found.push(format!("- {}", old[i]));
            i += 1;
        } else {
            found.push(format!("+ {}", new[j]));
            j += 1;
        }
    }
    found
}
