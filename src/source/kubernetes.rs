//! What the path of a container's log says of it. No API server is asked.
//!
//! ```text
//! …/var/log/pods/<namespace>_<pod>_<uid>/<container>/<restart>.log
//! …/var/log/containers/<pod>_<namespace>_<container>-<container id>.log      (a link to the former)
//! …/containers/<container id>/<container id>-json.log                        (Docker; no pod)
//! ```
//! Only a path of exactly that shape says something.

use std::collections::BTreeMap;
use std::path::Path;

/// The labels that stand in the path, if it is that of a container's log. The target of a link adds what it knows.
pub(super) fn labels(path: &Path) -> BTreeMap<String, String> {
    let mut labels = of_path(path);
    if labels.contains_key("pod")
        && let Ok(target) = path.read_link()
    {
        for (name, value) in of_path(&target) {
            labels.entry(name).or_insert(value);
        }
    }
    labels
}

fn of_path(path: &Path) -> BTreeMap<String, String> {
    let names: Option<Vec<&str>> = path.components().rev().take(6).map(|part| part.as_os_str().to_str()).collect();
    let found = match names.as_deref() {
        Some([file, container, pod, "pods", "log", "var", ..]) => of_pods(pod, container, file),
        Some([file, "containers", "log", "var", ..]) => of_containers(file),
        Some([file, id, "containers", ..]) => of_docker(id, file),
        _ => None,
    };
    let pairs = found.unwrap_or_default().into_iter();
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

type Found<'a> = Option<Vec<(&'static str, &'a str)>>;

fn of_pods<'a>(folder: &'a str, container: &'a str, file: &'a str) -> Found<'a> {
    let mut words = folder.split('_');
    let (namespace, pod, uid) = (words.next()?, words.next()?, words.next()?);
    let restart = file.strip_suffix(".log")?;
    let is_count = !restart.is_empty() && restart.bytes().all(|c| c.is_ascii_digit());
    let all = [namespace, pod, uid, container];
    (is_count && words.next().is_none() && all.into_iter().all(is_name)).then(|| {
        vec![("namespace", namespace), ("pod", pod), ("pod_uid", uid), ("container", container), ("restart", restart)]
    })
}

fn of_containers(file: &str) -> Found<'_> {
    let mut words = file.strip_suffix(".log")?.split('_');
    let (pod, namespace, last) = (words.next()?, words.next()?, words.next()?);
    let (container, id) = last.rsplit_once('-')?;
    let sound = is_id(id) && words.next().is_none() && [pod, namespace, container].into_iter().all(is_name);
    sound.then(|| vec![("namespace", namespace), ("pod", pod), ("container", container), ("container_id", id)])
}

fn of_docker<'a>(id: &'a str, file: &str) -> Found<'a> {
    (is_id(id) && file.strip_suffix("-json.log") == Some(id)).then(|| vec![("container_id", id)])
}

/// Names of Kubernetes are those of DNS: no underscore, so that it can stand between them.
fn is_name(text: &str) -> bool {
    (1..=253).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.'))
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn said(path: &str) -> String {
        let pairs: Vec<String> =
            labels(Path::new(path)).iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join(" ")
    }

    #[test]
    fn paths_of_containers_say_whose_they_are_through_any_prefix() {
        for prefix in ["", "/host", "/mnt/a/b"] {
            assert_eq!(
                said(&format!("{prefix}/var/log/pods/shop_web-7d4b_0aa1-22/nginx/3.log")),
                "container=nginx namespace=shop pod=web-7d4b pod_uid=0aa1-22 restart=3"
            );
            assert_eq!(
                said(&format!("{prefix}/var/log/containers/web-7d4b_shop_side-car-{ID}.log")),
                format!("container=side-car container_id={ID} namespace=shop pod=web-7d4b")
            );
        }
        assert_eq!(said(&format!("/var/lib/docker/containers/{ID}/{ID}-json.log")), format!("container_id={ID}"));
    }

    #[test]
    fn other_paths_say_nothing() {
        for path in [
            "/var/log/pods/shop_web_uid/nginx/3.log.1",
            "/var/log/pods/shop_web/nginx/3.log",
            "/var/log/pods/shop_web_uid_x/nginx/3.log",
            "/var/log/pods/shop_web_uid/nginx/x.log",
            "/var/log/pods/shop__uid/nginx/3.log",
            "/var/log/podsx/shop_web_uid/nginx/3.log",
            "/log/pods/shop_web_uid/nginx/3.log",
            "/var/log/containers/web_shop_nginx.log",
            "/var/log/containers/web_shop_nginx-0123.log",
            "/var/log/auth.log",
            "/",
        ] {
            assert_eq!(said(path), "", "{path}");
        }
    }
}
