//! What a service manager such as systemd asks of a command that runs on: to say how it is, to show that it lives, to read its
//! files again.

mod manager;
mod pulse;
mod reload;

pub use manager::Manager;
pub use pulse::Pulse;
pub use reload::Reload;
