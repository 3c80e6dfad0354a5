//! `${NAME}`, `${file:PATH}` and `${credential:NAME}` in strings; `$${` is a literal `${`.
//!
//! What is put in may be a secret: no message here holds it.

use crate::chain::key_file;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A secret is a line or a certificate; what is larger is some other file.
const FILE_SIZE_MAX_BYTES: u64 = 64 * 1024;

/// What a configuration may take from outside itself.
pub(super) struct Surroundings<'a> {
    /// The folder of the file, absolute: relative paths begin there.
    pub(super) folder: &'a Path,
    /// The value of an environment variable.
    pub(super) variable: &'a dyn Fn(&str) -> Option<OsString>,
}

/// What the text that files are put into may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum May {
    /// Others must not reach the files.
    BeSecret,
    /// Anybody may read it.
    BeKnown,
}

/// What is wrong, and how to mend it.
pub(super) type Wrong = (String, &'static str);

/// `raw` with everything put in, and whether anything was.
pub(super) fn substitute(raw: &str, surroundings: &Surroundings<'_>, may: May) -> Result<(String, bool), Wrong> {
    let mut text = String::with_capacity(raw.len());
    let mut any = false;
    let mut rest = raw;
    while let Some(at) = rest.find("${") {
        let (before, opened) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            text.push_str(before);
            text.push_str("${");
            rest = &opened[2..];
            continue;
        }
        text.push_str(before);
        let Some((name, after)) = opened[2..].split_once('}') else {
            return Err(("a ${ without its }".to_owned(), "close it, or write $${ for a literal ${"));
        };
        text.push_str(&look_up(name, surroundings, may)?);
        any = true;
        rest = after;
    }
    text.push_str(rest);
    Ok((text, any))
}

fn look_up(name: &str, surroundings: &Surroundings<'_>, may: May) -> Result<String, Wrong> {
    match name.split_once(':') {
        Some(("file", path)) if !path.is_empty() => content(&surroundings.folder.join(path), name, may),
        Some(("credential", credential)) if is_credential(credential) => {
            let mend = "start it by systemd with LoadCredential=, or set the variable to the credentials' folder";
            let folder = (surroundings.variable)("CREDENTIALS_DIRECTORY")
                .ok_or_else(|| (format!("${{{name}}}: $CREDENTIALS_DIRECTORY is not set"), mend))?;
            content(&PathBuf::from(folder).join(credential), name, may)
        }
        None if is_variable(name) => {
            let value = (surroundings.variable)(name).ok_or_else(|| {
                (format!("${{{name}}}: this environment variable is not set"), "set it, or write $${ for a literal ${")
            })?;
            value.into_string().map_err(|_| (format!("${{{name}}}: its value is not UTF-8"), "set it to text"))
        }
        _ => Err((
            format!("${{{name}}} cannot be put in"),
            "write ${NAME}, ${file:PATH} or ${credential:NAME}, or $${ for a literal ${",
        )),
    }
}

fn content(path: &Path, name: &str, may: May) -> Result<String, Wrong> {
    let wrong =
        |what: String| (format!("${{{name}}}: {what}"), "put a file with the value there, readable by sealtail");
    let failed = |error| wrong(format!("cannot read {}: {error}", path.display()));
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    let exposure = key_file::exposure(&file.metadata().map_err(failed)?);
    if let Some(mode) = exposure.filter(|_| may == May::BeSecret) {
        let path = path.display();
        return Err((
            format!("${{{name}}}: others than its owner can reach {path} (mode {mode:04o})"),
            "run chmod 600 on it (for a Secret in Kubernetes: defaultMode: 0440)",
        ));
    }
    file.take(FILE_SIZE_MAX_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > FILE_SIZE_MAX_BYTES {
        return Err(wrong(format!("{} is larger than 64 KiB", path.display())));
    }
    // editors and `echo` end a file with a newline that belongs to nobody
    let value = text.strip_suffix('\n').unwrap_or(&text);
    Ok(value.strip_suffix('\r').unwrap_or(value).to_owned())
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
}

/// A file's name and no path: it can't lead out of the credentials' folder.
fn is_credential(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(raw: &str, folder: &Path) -> Result<(String, bool), Wrong> {
        let variable = |name: &str| match name {
            "USER_1" => Some("ada".into()),
            "CREDENTIALS_DIRECTORY" => Some(folder.join("credentials").into()),
            _ => None,
        };
        substitute(raw, &Surroundings { folder, variable: &variable }, May::BeSecret)
    }

    #[test]
    fn puts_in_variables_files_and_credentials() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("credentials")).unwrap();
        key_file::create(&folder.path().join("token"), b"t0ken\r\n", key_file::SECRET).unwrap();
        key_file::create(&folder.path().join("credentials/web"), b"s3cret\n\n", key_file::SECRET).unwrap();
        for (raw, text, any) in [
            ("plain $5 {x}", "plain $5 {x}", false),
            ("a ${USER_1} b ${USER_1}", "a ada b ada", true),
            ("${file:token}", "t0ken", true),
            ("${credential:web}!", "s3cret\n!", true),
            ("$${USER_1} ${USER_1}", "${USER_1} ada", true),
            ("$${", "${", false),
            ("$$${USER_1}", "$${USER_1}", false),
        ] {
            assert_eq!(run(raw, folder.path()), Ok((text.to_owned(), any)), "{raw}");
        }
    }

    #[test]
    fn says_what_cannot_be_put_in() {
        let folder = tempfile::tempdir().unwrap();
        key_file::create(&folder.path().join("long"), &vec![b'x'; 65 * 1024], key_file::SECRET).unwrap();
        key_file::create(&folder.path().join("open"), b"x", key_file::PUBLIC).unwrap();
        for (raw, what) in [
            ("${UNSET}", "not set"),
            ("${file:gone}", "cannot read"),
            ("${file:long}", "larger than 64 KiB"),
            ("${file:open}", "others than its owner can reach"),
            ("${file:}", "cannot be put in"),
            ("${credential:../passwd}", "cannot be put in"),
            ("${credential:gone}", "cannot read"),
            ("${vault:x}", "cannot be put in"),
            ("${}", "cannot be put in"),
            ("${USER_1", "without its }"),
        ] {
            let (wrong, _) = run(raw, folder.path()).unwrap_err();
            assert!(wrong.contains(what), "{raw}: {wrong}");
        }
        let nothing = Surroundings { folder: folder.path(), variable: &|_| None };
        let (wrong, _) = substitute("${credential:web}", &nothing, May::BeSecret).unwrap_err();
        assert!(wrong.contains("$CREDENTIALS_DIRECTORY is not set"), "{wrong}");
        assert_eq!(substitute("${file:open}", &nothing, May::BeKnown), Ok(("x".to_owned(), true)));
    }
}
