//! The playbook: steps in order, each an action with its parameters.
