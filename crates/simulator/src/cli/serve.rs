//! `serve`: the servers, until a signal or `--run-for`.

use std::time::Duration;

use rtms_simulator::AnyStream;

use super::args::ServeArgs;
use super::settings::{self, Variables};
use super::{Failure, start, stopped_by_signal};

pub(crate) async fn run(variables: &Variables, args: &ServeArgs) -> Result<bool, Failure> {
    let secrets = settings::secrets(variables, &args.credentials, false)?;
    let mut config = settings::server(&args.server, &secrets, 9443);
    config.any_stream = args.any_stream.then(|| AnyStream {
        product: args.scenario.product.into(),
        course: args.scenario.course.into(),
        duration_ms: args.scenario.duration_ms(),
    });
    let simulator = start(&args.server, config).await?;
    println!("{}", simulator.signaling_url());
    let run_for = args.run_for.map_or(Duration::MAX / 4, Duration::from_secs_f64);
    tokio::select! {
        () = stopped_by_signal() => {}
        () = tokio::time::sleep(run_for) => {}
    }
    Ok(true)
}
