//! What is looked at before a stage opens.
