//! The environment. In a program of its own, as it is of the whole process; one test at a time.

use coutil_system::{Error, EventLoop, environment, process};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As C code reads it.
fn getenv(name: &CStr) -> Option<Vec<u8>> {
    // SAFETY: values are never freed.
    unsafe {
        let value = libc::getenv(name.as_ptr());
        (!value.is_null()).then(|| CStr::from_ptr(value).to_bytes().to_vec())
    }
}

#[test]
fn what_cannot_be_a_name() {
    // [40 V5] [40 V8]
    let _alone = alone();
    let invalid = Err(Error::from_code(libc::EINVAL));
    for name in [c"", c"=", c"A=", c"A=B"] {
        assert_eq!(environment::set(name, Some(c"x")), invalid);
        assert_eq!(environment::set(name, None), invalid);
    }
    assert_eq!(environment::get(c""), None);
    environment::set(c"COUTIL_QUIRK", Some(c"abc=def")).expect("a name");
    assert_eq!(environment::get(c"COUTIL_QUIRK=abc").as_deref(), Some(&b"def"[..]));
    environment::set(c"COUTIL_QUIRK", None).expect("a name");
}

#[test]
fn others_may_read_while_it_changes() {
    let _alone = alone();
    let done = AtomicBool::new(false);
    let name = c"COUTIL_CHANGING";
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    // A value is one that was set: all its bytes are the same.
                    if let Some(value) = getenv(name) {
                        assert!(value.windows(2).all(|two| two[0] == two[1]), "{value:?}");
                    }
                    for (name, _) in environment::all() {
                        assert!(!name.is_empty() && !name.contains(&b'='));
                    }
                }
            });
        }
        for round in 0..2000usize {
            let value = CString::new(vec![b'a' + (round % 26) as u8; round % 300]).expect("no zero byte");
            environment::set(name, (round % 5 > 0).then_some(&value)).expect("a name");
        }
        done.store(true, Ordering::Relaxed);
    });
    environment::set(name, None).expect("a name");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn random_changes(
        changes in prop::collection::vec(("[A-C]{1,2}", prop::option::of("[a-z=]{0,5}")), 0..30)
    ) {
        // [40 V3] [40 V6] [40 V7]
        let _alone = alone();
        let mut model = BTreeMap::new();
        let name = |name: &str| CString::new(format!("COUTIL_{name}")).expect("no zero byte");
        for (variable, value) in &changes {
            let text = value.as_ref().map(|value| CString::new(value.as_str()).expect("no zero byte"));
            prop_assert_eq!(environment::set(&name(variable), text.as_deref()), Ok(()));
            match value {
                Some(value) => model.insert(name(variable).into_bytes(), value.clone().into_bytes()),
                None => model.remove(name(variable).as_bytes()),
            };
            for (variable, _) in &changes {
                let expected = model.get(name(variable).as_bytes()).cloned();
                prop_assert_eq!(environment::get(&name(variable)), expected.clone());
                prop_assert_eq!(getenv(&name(variable)), expected);
            }
        }
        let ours = |(name, _): &(Vec<u8>, Vec<u8>)| name.starts_with(b"COUTIL_");
        let all: Vec<_> = environment::all().into_iter().filter(ours).collect();
        prop_assert_eq!(all.len(), model.len());
        prop_assert_eq!(all.into_iter().collect::<BTreeMap<_, _>>(), model.clone());
        // Children inherit it.
        let events = EventLoop::new().expect("descriptors");
        let (mut output, end) = UnixStream::pair().expect("descriptors");
        let mut command = process::Command::new("cat");
        command.arg("/proc/self/environ").stdout(OwnedFd::from(end));
        let child = process::Child::start(&events, command).expect("it starts");
        prop_assert_eq!(events.block_on(child.wait()), Ok(Ok(process::Exit::Status(0))));
        let mut text = Vec::new();
        output.read_to_end(&mut text).expect("it has ended");
        let entries = text.split(|byte| *byte == 0).filter(|entry| entry.starts_with(b"COUTIL_"));
        let theirs: BTreeMap<_, _> = entries
            .filter_map(|entry| {
                let at = entry.iter().position(|byte| *byte == b'=')?;
                Some((entry[..at].to_vec(), entry[at + 1..].to_vec()))
            })
            .collect();
        prop_assert_eq!(theirs, model.clone());
        for name in model.keys() {
            let name = CString::new(name.clone()).expect("no zero byte");
            prop_assert_eq!(environment::set(&name, None), Ok(()));
        }
    }
}
