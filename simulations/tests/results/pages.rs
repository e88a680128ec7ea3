//! The page and the plots: whole, escaped, usable without a network, honest about what is missing.

use crate::{metric, plan, row, small};
use starling_sim::results::{Better, Folder, Plan, Value, export};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn page(folder: &Folder) -> String {
    export(folder).unwrap();
    fs::read_to_string(folder.dir().join("report.html")).unwrap()
}

fn plots(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir.join("plots")).unwrap().map(Result::unwrap);
    entries
        .map(|e| e.file_name().into_string().unwrap())
        .collect()
}

/// Every element is closed where it must be, and nothing else is.
fn assert_balanced(html: &str) {
    let mut open = Vec::new();
    for piece in html.split('<').skip(1) {
        let (tag, _) = piece.split_once('>').unwrap_or_else(|| panic!("{piece}"));
        let name = tag
            .trim_start_matches('/')
            .split([' ', '\n'])
            .next()
            .unwrap()
            .trim_end_matches('/');
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "near <{tag}>");
        } else if !tag.ends_with('/') && !["!DOCTYPE", "meta", "br"].contains(&name) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn the_page_needs_nothing_else_and_says_what_was_run() {
    let dir = tempfile::tempdir().unwrap();
    let folder = small(dir.path());
    let html = page(&folder);
    for outside in [
        "http://", "https://", "url(", "@import", "src=", "href=", "<script", "<link",
    ] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert_balanced(&html);
    let about = folder.about();
    for wanted in [
        &about.commit,
        &about.lockfile_blake3,
        "starling-sim sweep &#39;the scale.toml&#39;",
        "<h1>the scale</h1>",
        "peers = [10, 100]",
        "<dd>1 to 2</dd>",
        "every checked invariant held",
        "<caption>",
        "scope=\"col\"",
        "scope=\"row\"",
        "101.5 ± 6.353",
    ] {
        assert!(html.contains(wanted), "{wanted}");
    }
    // One id for one element.
    let ids: Vec<_> = html
        .split(" id=\"")
        .skip(1)
        .map(|s| s.split('"').next())
        .collect();
    assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len());
    assert!(ids.len() >= 6, "two for each of three plots");
}

#[test]
fn texts_are_escaped_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let evil = "<script>alert('x')</script>";
    let plan = Plan {
        experiment: format!("name = \"{evil}\"\n"),
        command: vec![evil.into()],
        metrics: vec![metric(evil, evil, Better::Lower)],
        swept: vec!["policy".into()],
        ..plan()
    };
    let folder = Folder::open_or_create(dir.path(), &plan, false).unwrap();
    for (cell, policy) in [(0, evil), (1, "]]>\u{1}&amp;")] {
        let mut row = row(cell, 1, policy, 1, 1.0);
        row.metrics.insert(evil.into(), 2.0);
        row.params.insert(evil.into(), Value::Text(evil.into()));
        row.violations.push(evil.into());
        folder.put(&row, &[]).unwrap();
    }
    let html = page(&folder);
    assert!(!html.contains("<script") && html.contains("&lt;script&gt;alert(&#39;x&#39;)"));
    assert!(
        html.contains("]]&gt;\u{fffd}&amp;amp;"),
        "no second meaning, no control characters"
    );
    assert_balanced(&html);
    for plot in plots(dir.path()) {
        let svg = fs::read_to_string(dir.path().join("plots").join(&plot)).unwrap();
        assert!(!svg.contains("<script"), "{plot}");
        assert_balanced(&svg);
    }
}

#[test]
fn violations_come_with_the_command_that_repeats_them() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("my results");
    let folder = small(&at);
    let mut bad = row(1, 100, "fair", 9, 1.0);
    bad.violations.push("a receipt without a witness".into());
    folder.put(&bad, &[]).unwrap();
    let html = page(&folder);
    let command = format!(
        "starling-sim replay &#39;{}&#39; --cell 1 --seed 9",
        at.display()
    );
    assert!(html.contains(&command), "{command}");
    assert!(html.contains("In 1 of 5 runs") && html.contains("a receipt without a witness"));
}

#[test]
fn cells_without_enough_seeds_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let folder = small(dir.path());
    let html = page(&folder);
    assert!(html.contains("<p>Why &lt;so&gt;?</p>"));
    // 6.353 of 101.5 is too much, 6.353 of 201.5 is not.
    assert!(html.contains("Not met by 1 mean of them"), "{html}");
    assert!(
        html.contains("wait_ms, half-width 6.259 % of the mean after 2 runs"),
        "{html}"
    );
    for seed in 3..9 {
        let wait = 101.0 + (seed % 2) as f64;
        folder
            .put(&row(0, 10, "fast, \"first\"", seed, wait), &[])
            .unwrap();
    }
    assert!(page(&folder).contains("Every cell met it."));
}

#[test]
fn runs_of_several_commits_are_called_so() {
    let dir = tempfile::tempdir().unwrap();
    let folder = small(dir.path());
    assert!(!page(&folder).contains("not all made at one commit"));
    let cell = dir.path().join("cells/00000-1.json");
    let text = fs::read_to_string(&cell).unwrap();
    fs::write(&cell, text.replace(&folder.about().commit, "0123abcd")).unwrap();
    let html = page(&folder);
    assert!(
        html.contains("not all made at one commit: some come from 0123abcd"),
        "{html}"
    );
}

#[test]
fn numbers_become_an_axis_and_further_parameters_are_not_averaged_over() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open_or_create(dir.path(), &plan(), false).unwrap();
    let mut cell = 0;
    for peers in [10, 100, 1000, 10_000] {
        for policy in ["fair", "fast"] {
            for loss in [0.0, 0.1] {
                for seed in 0..3 {
                    let wait = peers as f64 + seed as f64 + loss;
                    let mut row = row(cell, peers, policy, seed, wait);
                    row.params.insert("loss".into(), Value::Float(loss));
                    folder.put(&row, &[]).unwrap();
                }
                cell += 1;
            }
        }
    }
    export(&folder).unwrap();
    let wanted = ["wait_ms-loss-0.svg", "wait_ms-loss-0.1.svg"].map(str::to_owned);
    let found = plots(dir.path());
    assert!(wanted.iter().all(|w| found.contains(w)), "{found:?}");
    let svg = fs::read_to_string(dir.path().join("plots/wait_ms-loss-0.1.svg")).unwrap();
    assert!(
        svg.contains("peers, logarithmic") && svg.contains("wait_ms (ms)"),
        "{svg}"
    );
    assert!(svg.contains("policy = fair") && svg.contains("policy = fast"));
    assert!(svg.contains("<title id=") && svg.contains("<desc id="));
    assert!(svg.contains("Lowest 11.1 for policy = fair at 10"), "{svg}");
    assert!(svg.contains("prefers-color-scheme:dark"));
    assert_balanced(&svg);
    // Eight points with an interval each, and two more markers in the legend.
    assert_eq!(svg.matches("stroke-width=\"1.5\"").count(), 8);
    assert_eq!(svg.matches("fill=\"currentColor\"/>").count(), 10);
}

#[test]
fn names_become_bars_and_old_plots_go() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open_or_create(dir.path(), &plan(), false).unwrap();
    for (cell, policy) in ["fair", "fast", "random"].into_iter().enumerate() {
        for seed in 1..4 {
            folder
                .put(&row(cell as u32, 10, policy, seed, 5.0 + seed as f64), &[])
                .unwrap();
        }
    }
    fs::create_dir(dir.path().join("plots")).unwrap();
    fs::write(dir.path().join("plots/gone.svg"), "").unwrap();
    export(&folder).unwrap();
    let found = plots(dir.path());
    assert_eq!(
        found,
        ["caught_after_s.svg", "wait_ms.svg"]
            .map(str::to_owned)
            .into(),
        "a share that never differs is told in words"
    );
    assert!(page(&folder).contains("<p>The same in every run: share "));
    let svg = fs::read_to_string(dir.path().join("plots/wait_ms.svg")).unwrap();
    assert_eq!(svg.matches("fill-opacity").count(), 3);
    assert_eq!(svg.matches("<circle").count(), 9, "every run is seen");
    assert!(svg.contains(">random</text>"));
}

#[test]
fn distributions_reach_one_and_leave_out_what_does_not_apply() {
    let dir = tempfile::tempdir().unwrap();
    let folder = small(dir.path());
    export(&folder).unwrap();
    let svg = fs::read_to_string(dir.path().join("plots/jobs.wall_ms-0.svg")).unwrap();
    // 202 and 204 ms in one cell, 402 and 404 in the other; the nulls between them are no samples.
    assert!(
        svg.contains("median 202") && svg.contains("median 402"),
        "{svg}"
    );
    // Both lines end at the top.
    assert_eq!(svg.matches(" 44\" fill=\"none\"").count(), 2, "{svg}");
    assert!(svg.contains("wall_ms (ms)") && svg.contains("share of samples"));
}
