//! `sluice-order apply IN OUT PROFILE`: the module with the profile's functions first, in its order
//! `sluice-order record IN OUT`: the module that logs which functions requests run
//! `sluice-order names IN`: number, size in bytes and name of each function

use std::error::Error;
use std::fs;
use std::process::ExitCode;

use sluice_order::{in_order, recording, Module};

const USAGE: &str = "usage: sluice-order apply IN OUT PROFILE | record IN OUT | names IN";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    match arguments {
        ["apply", input, output, profile] => {
            let profile = fs::read_to_string(profile)?;
            let bytes = fs::read(input)?;
            fs::write(output, in_order(&Module::read(&bytes)?, profile.lines())?)?;
        }
        ["record", input, output] => fs::write(output, recording(&Module::read(&fs::read(input)?)?)?)?,
        ["names", input] => {
            let bytes = fs::read(input)?;
            for (index, size, name) in Module::read(&bytes)?.functions() {
                println!("{index}\t{size}\t{name}");
            }
        }
        _ => return Err(USAGE.into()),
    }
    Ok(())
}
