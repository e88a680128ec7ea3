//! The document describes what is served.

use crate::attacks::request;
use crate::served;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_method_is_told_those_that_the_document_names() {
    let served = served(0).await;
    let document = serde_json::to_value(starling::api::document()).unwrap();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let line = format!("PATCH {} HTTP/1.1", path.replace(['{', '}'], ""));
        let (status, text) = request(&served, &line, &[]);
        assert_eq!(status, 405, "{line}: {text}");
        let allowed = text
            .lines()
            .find_map(|line| line.strip_prefix("allow: "))
            .unwrap_or_else(|| panic!("{line}: {text}"));
        let mut allowed: Vec<_> = allowed.trim().split(',').map(str::to_lowercase).collect();
        allowed.retain(|method| method != "head");
        allowed.sort();
        let named: Vec<_> = operations.as_object().unwrap().keys().collect();
        assert_eq!(allowed.iter().collect::<Vec<_>>(), named, "{path}");
    }
    served.end().await;
}
