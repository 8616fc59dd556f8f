//! corporate_action
