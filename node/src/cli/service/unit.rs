//! The text of a systemd unit: written, recognised, read.
//!
//! Its first line has a digest of all others, so that a change by hand is seen. Invariant: what [`text`] writes,
//! [`ours`] recognises and [`words`] reads back.

use super::Plan;

/// Begins what this program has written.
const MARK: &str =
    "# Written by `starling service install`, which would undo changes to this file; check ";

/// The unit. `set_uid_driver`: a graphics driver here makes its device files through a set-uid program.
pub fn text(plan: &Plan, set_uid_driver: bool) -> String {
    let program = quoted(&plan.program.display().to_string());
    // Only arguments have variables replaced in them, not the program's path.
    let args = plan.args.iter().map(|a| quoted(a).replace('$', "$$"));
    let command: Vec<_> = std::iter::once(program).chain(args).collect();
    let command = command.join(" ");
    let hardening = if set_uid_driver {
        "# No NoNewPrivileges and nothing that implies it: this machine's nvidia-modprobe is set-uid, and makes the\n\
         # device files without which there is no GPU.\n"
    } else {
        "NoNewPrivileges=yes\nLockPersonality=yes\nRestrictSUIDSGID=yes\nSystemCallArchitectures=native\n\
         RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n"
    };
    let body = format!(
        "# Your own changes: `systemctl --user edit starling`.
[Unit]
Description=Starling, which lends this machine to its swarm
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
Type=exec
ExecStart={command}
Restart=on-failure
RestartSec=5
# A wrong command line (2), and a key or certificate that does not let it in (4), do not get better by themselves.
RestartPreventExitStatus=2 4
# The peer ends its device processes itself; what is left after it goes with it.
KillMode=mixed
KillSignal=SIGTERM
TimeoutStopSec=30
# Neither the key in a core dump, nor files that others can read.
LimitCORE=0
UMask=0077
# No ProtectSystem, PrivateTmp or PrivateDevices: in a user's units they take a user namespace, which many systems
# forbid and in which GPUs' groups are lost. No MemoryDenyWriteExecute: drivers compile shaders into memory. Shaders of
# others run in processes that confine themselves further.
{hardening}
[Install]
WantedBy=default.target
"
    );
    format!("{MARK}{}\n{body}", check(&body))
}

/// Whether a unit is as this program wrote it.
pub fn ours(text: &str) -> bool {
    let parts = text.strip_prefix(MARK).and_then(|t| t.split_once('\n'));
    parts.is_some_and(|(given, body)| given == check(body))
}

fn check(body: &str) -> String {
    blake3::hash(body.as_bytes()).to_hex()[..16].to_owned()
}

/// A word of a command line. Spaces and quotes count, and `%` begins a specifier.
fn quoted(word: &str) -> String {
    let word = word.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", word.replace('%', "%%"))
}

/// The words of the unit's command, the program first.
pub fn words(unit: &str) -> Vec<String> {
    let line = unit
        .lines()
        .find_map(|l| l.trim().strip_prefix("ExecStart="));
    let mut words: Vec<String> = Vec::new();
    let (mut word, mut quoted) = (None::<String>, false);
    let mut rest = line.unwrap_or_default().chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            '\\' => word.get_or_insert_default().extend(rest.next()),
            '%' | '$' => {
                // Doubled where they mean themselves.
                rest.next_if_eq(&c);
                word.get_or_insert_default().push(c);
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The argument after a flag.
pub fn after<'a>(words: &'a [String], flag: &str) -> Option<&'a str> {
    let at = words.iter().position(|w| w == flag)?;
    words.get(at + 1).map(String::as_str)
}

/// Whether a graphics driver makes its device files through a set-uid program.
pub fn set_uid_driver() -> bool {
    let helpers = ["/usr/bin/nvidia-modprobe", "/usr/sbin/nvidia-modprobe"];
    helpers.iter().any(|path| {
        let about = std::fs::metadata(path);
        about.is_ok_and(|a| std::os::unix::fs::MetadataExt::mode(&a) & 0o4000 != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_a_change_is_seen() {
        let plan = Plan {
            program: "/opt/a b/100%/star\"ling".into(),
            args: ["up", "--home", r"/h/$x \ %h", "--quiet"]
                .map(String::from)
                .into(),
        };
        for set_uid in [false, true] {
            let unit = text(&plan, set_uid);
            assert!(ours(&unit));
            let words = words(&unit);
            assert_eq!(words[0], "/opt/a b/100%/star\"ling");
            assert_eq!(words[1..], plan.args);
            assert_eq!(after(&words, "--home"), Some(r"/h/$x \ %h"));
            assert_eq!(unit.contains("\nNoNewPrivileges=yes"), !set_uid);
            assert!(!ours(&unit.replace("RestartSec=5", "RestartSec=6")));
            assert!(!ours(&format!("{unit}# mine\n")));
        }
        assert!(!ours(""));
        assert!(words("[Service]\n").is_empty());
    }
}
