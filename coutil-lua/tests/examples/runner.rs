//! Shell commands, several at a time.

use super::*;
use std::io::Write;
use std::thread;

/// The runner, with these arguments.
fn runner(args: &[&str]) -> Command {
    let mut command = command("runner.lua");
    command.args(args);
    command
}

/// What it printed, and its status.
fn ran(command: &mut Command, input: &str) -> (String, String, Option<i32>) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example starts");
    // It may not read it.
    let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("it is text");
    (text(output.stdout), text(output.stderr), output.status.code())
}

#[test]
fn the_runner_keeps_the_output_of_each_command_together() {
    let commands: Vec<_> =
        (0..12).map(|n| format!("for i in 1 2 3 4; do echo {n}.$i; echo {n}.$i >&2; done")).collect();
    let input = format!("# a comment\n\n{}\n", commands.join("\n"));
    let (output, errors, status) = ran(&mut runner(&["-j", "4"]), &input);
    assert_eq!((errors.as_str(), status), ("", Some(0)));
    for (n, command) in commands.iter().enumerate() {
        let lines: String = (1..=4).map(|i| format!("{n}.{i}\n{n}.{i}\n")).collect();
        assert!(output.contains(&format!("$ {command}\n{lines}")), "{output}");
    }
}

#[test]
fn the_runner_starts_no_more_at_a_time_than_it_is_told() {
    let directory = Directory::new("runner-jobs");
    let path = directory.0.display();
    let command = format!("mkdir {path}/$$; ls {path} | wc -l; rmdir {path}/$$");
    let mut args = vec!["-j", "3"];
    args.extend([command.as_str(); 20]);
    let (output, _, status) = ran(&mut runner(&args), "");
    assert_eq!(status, Some(0));
    let counts: Vec<u32> = output.lines().filter_map(|line| line.trim().parse().ok()).collect();
    assert_eq!(counts.len(), 20);
    assert!(counts.iter().all(|count| (1..=3).contains(count)), "{counts:?}");
}

#[test]
fn the_runner_tells_what_failed() {
    let (output, errors, status) = ran(&mut runner(&["-j", "1", "true", "exit 3", "echo never"]), "");
    assert_eq!(output, "$ true\n$ exit 3\n* status 3\n");
    assert_eq!((errors.as_str(), status), ("1 of 3 commands were not started\n", Some(1)));
    let args = ["-j", "1", "-k", "-q", "echo good", "printf bad; kill -9 $$", "echo good"];
    let (output, errors, status) = ran(&mut runner(&args), "");
    assert_eq!(output, "$ printf bad; kill -9 $$\nbad\n* TERMINATE, signal 9\n");
    assert_eq!((errors.as_str(), status), ("", Some(1)));
    assert_eq!(ran(&mut runner(&["-x"]), "").2, Some(2));
    assert_eq!(ran(&mut runner(&["-f", "/no/such/file"]), "").2, Some(2));
}

#[test]
fn an_interrupt_stops_the_runner_and_its_commands() {
    let directory = Directory::new("runner-interrupt");
    let path = directory.0.display();
    let lasting = format!("echo $$ >{path}/$$.new; mv {path}/$$.new {path}/$$; exec sleep 1000");
    let child = runner(&["-j", "2", &lasting, &lasting, "echo never"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example starts");
    let started = || {
        let files = std::fs::read_dir(&directory.0).expect("it is there");
        let pids = files.filter_map(|file| file.ok()?.file_name().into_string().ok()?.parse::<i32>().ok());
        pids.collect::<Vec<_>>()
    };
    while started().len() < 2 {
        thread::sleep(Duration::from_millis(5));
    }
    // SAFETY: the process is ours.
    assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGINT) }, 0);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.matches("* interrupt, signal 2\n").count(), 2, "{text}");
    assert!(!text.contains("never"), "{text}");
    for pid in started() {
        // SAFETY: nothing is sent.
        assert_eq!(unsafe { libc::kill(pid, 0) }, -1, "it is gone");
    }
}
