//! Settings in layers: defaults, then a TOML file, then `.env` in the working folder, then the environment.
//!
//! Every variable is described once in a [`Table`]; a [`SettingsReader`] hands out typed values and
//! notes every error, so that an operator sees all of them at once, one line each, with an example of
//! a right value. Environment and folder are arguments: nothing here reads or changes the process.
//!
//! ```
//! use rtms_service::settings::{SettingsReader, Sources, Table, Variable};
//!
//! static TABLE: Table = Table {
//!     own: &[
//!         Variable::setting("PORT", Some("3002"), "where to listen", "3002"),
//!         Variable::secret("TOKEN", "what callers must show", "a1b2c3"),
//!     ],
//!     elsewhere: &[],
//! };
//!
//! let sources = Sources::new("/tmp").with("TOKEN", "s3cret");
//! let mut settings = SettingsReader::load(&TABLE, &sources);
//! let port = settings.port("PORT");
//! let token = settings.required_secret("TOKEN");
//! settings.finish()?;
//! assert_eq!(port, 3002);
//! # let _ = token;
//! # Ok::<(), rtms_service::settings::SettingsErrors>(())
//! ```

mod error;
mod layers;
mod reader;
mod table;

pub use error::{SettingError, SettingsErrors};
pub use layers::Sources;
pub use reader::SettingsReader;
pub use table::{Table, Variable};
