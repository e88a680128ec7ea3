//! For every strategy: that it does its misdeed, and what honest peers then do.

mod auditing;
mod combined;
mod files;
mod gaming;
mod hearing;
mod parts;
mod talking;
mod working;
mod world;
