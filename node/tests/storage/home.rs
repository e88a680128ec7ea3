//! The home folder, its settings and the identity.

use starling::home::config::{Device, LogLevel};
use starling::home::{Config, ConfigError, Home, HomeError};
use starling::key::{KeyError, Seed};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_flag_comes_before_the_variable_before_the_data_folder() {
    let data = || Some(PathBuf::from("/data"));
    let at = |flag: Option<&str>, variable: Option<&str>| {
        Home::locate_in(flag.map(Path::new), variable.map(OsStr::new), data).unwrap()
    };
    assert_eq!(at(Some("/flag"), Some("/variable")), Path::new("/flag"));
    assert_eq!(at(None, Some("/variable")), Path::new("/variable"));
    assert_eq!(at(None, Some("")), Path::new("/data/starling"));
    assert_eq!(at(None, None), Path::new("/data/starling"));
    assert!(matches!(
        Home::locate_in(None, None, || None),
        Err(HomeError::Nowhere)
    ));
}

#[test]
fn a_home_is_private_and_has_one_holder() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("new/home");
    let home = Home::open(&root).unwrap();
    for path in [
        root.clone(),
        home.log(),
        home.index(),
        home.blobs(),
        home.jobs(),
    ] {
        assert_eq!(mode(&path), 0o700, "{}", path.display());
    }
    let error = Home::open(&root).unwrap_err();
    let HomeError::InUse { holder, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(*holder, format!("process {}", std::process::id()));
    assert!(error.to_string().contains("--home"));
    drop(home);
    drop(Home::open(&root).unwrap());

    set_mode(&root, 0o770);
    let error = Home::open(&root).unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&format!("chmod 700 {}", root.display())),
        "{error}"
    );
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(
        Home::open(&file),
        Err(HomeError::NotAFolder { .. })
    ));
}

#[test]
fn an_identity_is_made_once_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("identity.key");
    assert!(matches!(Seed::load(&path), Err(KeyError::Missing { .. })));
    let (made, new) = Seed::load_or_create(&path).unwrap();
    assert!(new);
    assert_eq!(mode(&path), 0o600);
    let (read, new) = Seed::load_or_create(&path).unwrap();
    assert!(!new);
    assert_eq!(made.as_bytes(), read.as_bytes());
    assert!(
        !Seed::generate().unwrap().save_new(&path).unwrap(),
        "an identity was overwritten"
    );
    assert_eq!(Seed::load(&path).unwrap().as_bytes(), made.as_bytes());
    assert_eq!(format!("{made:?}"), "Seed(..)");
    let names: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(
        names,
        ["identity.key"],
        "a draft with the secret was left behind"
    );
}

#[test]
fn an_exposed_or_damaged_identity_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("identity.key");
    Seed::load_or_create(&path).unwrap();
    let sound = fs::read(&path).unwrap();
    for open in [0o640, 0o604, 0o660, 0o610] {
        set_mode(&path, open);
        let error = Seed::load_or_create(&path).unwrap_err();
        assert!(matches!(error, KeyError::Exposed { .. }));
        assert!(
            error
                .to_string()
                .contains(&format!("chmod 600 {}", path.display())),
            "{error}"
        );
    }
    set_mode(&path, 0o600);
    for bit in 0..sound.len() * 8 {
        let mut bytes = sound.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, bytes).unwrap();
        assert!(
            matches!(Seed::load(&path), Err(KeyError::Damaged { .. })),
            "bit {bit}"
        );
    }
    for length in [0, 1, sound.len() - 1, sound.len() + 1] {
        let mut bytes = sound.clone();
        bytes.resize(length, 0);
        fs::write(&path, &bytes).unwrap();
        assert!(matches!(
            Seed::load_or_create(&path),
            Err(KeyError::Size { .. })
        ));
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    fs::remove_file(&path).unwrap();
    symlink("/dev/zero", &path).unwrap();
    assert!(matches!(Seed::load(&path), Err(KeyError::Size { .. })));
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    let address = |text: &str| {
        if text.starts_with('/') {
            Ok(())
        } else {
            Err("it starts with no slash".to_owned())
        }
    };
    Config::parse(text, Path::new("config.toml"), &address)
}

#[test]
fn the_first_run_writes_settings_that_say_the_default() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    let any = |_: &str| Ok(());
    assert_eq!(
        Config::load_or_create(&path, &any).unwrap(),
        Config::default()
    );
    assert_eq!(
        Config::load_or_create(&path, &any).unwrap(),
        Config::default()
    );
    assert_eq!(parse("").unwrap(), Config::default());
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replace("choose = \"auto\"", "choose = \"H200\"")
            .replace("level = \"warn\"", "level = \"trace\""),
    )
    .unwrap();
    let read = Config::load_or_create(&path, &any).unwrap();
    assert_eq!(
        read,
        Config {
            device: Device::Adapter("H200".to_owned()),
            log: LogLevel::Trace,
            ..Config::default()
        }
    );
    fs::write(&path, "#".repeat(70_000)).unwrap();
    assert!(matches!(
        Config::load_or_create(&path, &any),
        Err(ConfigError::TooLong { .. })
    ));
}

#[test]
fn mistakes_in_the_settings_name_line_and_fix() {
    let many = format!("[network]\nlisten = [{}]", "\"/a\",".repeat(65));
    let cases = [
        (
            "[limits]\nconections = 3",
            2,
            "did you mean `limits.connections`",
        ),
        ("[limits]\nblobs_gib = \"10 GB\"", 2, "from 1 to 65536"),
        ("[lend]\nprice = 1.5", 2, "write a number"),
        ("[api]\nport = 70000", 2, "to 65535"),
        ("[limits]\n\nconnections = 3", 3, "from 4 to 4096"),
        ("[limits]\nblobs_gib = -1", 2, "from 1 to 65536"),
        ("[limits]\nthreads = \"all\"", 2, "from 0 to 1024"),
        ("[device]\nchoose = \"\"", 2, "1 to 128 bytes"),
        ("[log]\nlevel = \"loud\"", 2, "trace"),
        (
            "[network]\nlisten = [\n  \"/ok\",\n  \"bad\",\n]",
            4,
            "no slash",
        ),
        ("[network\n", 1, "correct"),
        ("\n[lmits]\n", 2, "lmits"),
        (&many, 2, "list fewer"),
    ];
    for (text, line, part) in cases {
        let error = parse(text).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("config.toml:{line}: ")),
            "{text:?}: {error}"
        );
        assert!(error.contains(part), "{text:?}: {error}");
    }
}
